import { PythonPeer } from '@domicile/devkit/python.ts';
import { z } from 'zod';

/** A Modbus TCP device that shares nothing with the driver's library: pymodbus. */
const program = `
import asyncio, json, sys, warnings
warnings.filterwarnings('ignore')
import logging; logging.disable(logging.CRITICAL)
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

def unit(id):
    bits = lambda: [SimData(0, count=200, values=False, datatype=DataType.BITS)]
    words = lambda: [SimData(0, count=200, values=0, datatype=DataType.REGISTERS)]
    return SimDevice(id, simdata=(bits(), bits(), words(), words()))

silent = set()
asked = []

async def main():
    def pdu(is_sending, message):
        if not is_sending: asked.append([message.dev_id, message.function_code])
        return message
    def packet(is_sending, data):
        return b'' if is_sending and len(data) > 6 and data[6] in silent else data
    server = ModbusTcpServer([unit(1), unit(2)], address=('127.0.0.1', 0), trace_pdu=pdu, trace_packet=packet)
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    print(json.dumps({'port': port}), flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line: return
        ask = json.loads(line)
        answer = None
        if ask['do'] == 'set':
            await server.async_setValues(ask['unit'], ask['function'], ask['address'], ask['values'])
        elif ask['do'] == 'get':
            answer = await server.async_getValues(ask['unit'], ask['function'], ask['address'], ask['count'])
        elif ask['do'] == 'silence':
            silent.clear(); silent.update(ask['units'])
        elif ask['do'] == 'asked':
            answer = list(asked); asked.clear()
        print(json.dumps(answer), flush=True)

asyncio.run(main())
`;

const greetingSchema = z.object({ port: z.number() });

/** Functions that read the tables, as pymodbus names them: 1 coils, 2 discrete, 3 holding, 4 input. */
export type TableFunction = 1 | 2 | 3 | 4;

export class ModbusPeer implements AsyncDisposable {
  readonly #python: PythonPeer;
  readonly port: number;

  private constructor(python: PythonPeer) {
    this.#python = python;
    this.port = greetingSchema.parse(python.greeting).port;
  }

  static async start(): Promise<ModbusPeer> {
    return new ModbusPeer(await PythonPeer.start(program, ['pymodbus==3.16.1']));
  }

  async set(
    unit: number,
    at: readonly [TableFunction, number],
    values: readonly (number | boolean)[],
  ): Promise<void> {
    const [tableFunction, address] = at;
    await this.#python.ask({ do: 'set', unit, function: tableFunction, address, values });
  }

  async get(unit: number, at: readonly [TableFunction, number], count: number): Promise<number[]> {
    const [tableFunction, address] = at;
    const answer = await this.#python.ask({
      do: 'get',
      unit,
      function: tableFunction,
      address,
      count,
    });
    return z.array(z.coerce.number()).parse(answer);
  }

  /** Requests so far, since the last time this was asked: unit and function. */
  async asked(): Promise<[number, number][]> {
    return z
      .array(z.tuple([z.number(), z.number()]))
      .parse(await this.#python.ask({ do: 'asked' }));
  }

  async silence(...units: number[]): Promise<void> {
    await this.#python.ask({ do: 'silence', units });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#python[Symbol.asyncDispose]();
  }
}
