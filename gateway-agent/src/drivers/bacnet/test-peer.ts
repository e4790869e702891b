import { PythonPeer } from '@domicile/devkit/python.ts';
import { z } from 'zod';

/** Two BACnet/IP devices that share nothing with the driver's library: bacpypes3. */
const program = `
import asyncio, json, random, socket, sys, warnings
warnings.filterwarnings('ignore')
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.apdu import ReadPropertyMultipleRequest, SubscribeCOVRequest
from bacpypes3.basetypes import ErrorClass, ErrorCode
from bacpypes3.errors import ServicesError
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryInputObject, BinaryValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import IPv4Address

quiet, plain, asked = set(), set(), []

class Device(NormalApplication):
    async def indication(self, apdu):
        asked.append([self.number, type(apdu).__name__])
        if self.number in quiet: return
        await super().indication(apdu)
    async def do_ReadPropertyMultipleRequest(self, apdu):
        if self.number in plain: raise ServicesError(errorCode='serviceRequestDenied')
        await super().do_ReadPropertyMultipleRequest(apdu)

def free_port():
    # Below what Linux gives to others that ask for any.
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try: probe.bind(('127.0.0.1', port))
            except OSError: continue
        return port

def device(number):
    port = free_port()
    app = Device(DeviceObject(objectIdentifier=('device', number), objectName=f'd{number}', vendorIdentifier=999), IPv4Address(f'127.0.0.1/32:{port}'))
    app.number = number
    common = dict(statusFlags=[0, 0, 0, 0], eventState='normal', outOfService=False)
    objects = {
        'temperature': AnalogInputObject(objectIdentifier=('analog-input', 1), objectName='t', presentValue=21.5, units='degrees-celsius', covIncrement=0.1, **common),
        'target': AnalogValueObject(objectIdentifier=('analog-value', 1), objectName='s', presentValue=20.0, units='degrees-celsius', covIncrement=0.1, **common),
        'open': BinaryInputObject(objectIdentifier=('binary-input', 1), objectName='o', presentValue='inactive', polarity='normal', **common),
        'heating': BinaryValueObject(objectIdentifier=('binary-value', 1), objectName='h', presentValue='inactive', **common),
    }
    for one in objects.values(): app.add_object(one)
    return port, objects, app

async def main():
    devices = {number: device(number) for number in (1, 2)}
    print(json.dumps({str(number): port for number, (port, _, _) in devices.items()}), flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line: return
        ask = json.loads(line)
        answer = None
        if ask['do'] == 'set': setattr(devices[ask['number']][1][ask['name']], 'presentValue', ask['value'])
        elif ask['do'] == 'get': answer = float(devices[ask['number']][1][ask['name']].presentValue)
        elif ask['do'] == 'quiet': quiet.clear(); quiet.update(ask['numbers'])
        elif ask['do'] == 'plain': plain.clear(); plain.update(ask['numbers'])
        elif ask['do'] == 'asked': answer = list(asked); asked.clear()
        print(json.dumps(answer), flush=True)

asyncio.run(main())
`;

const portsSchema = z.object({ '1': z.number(), '2': z.number() });
const askedSchema = z.array(z.tuple([z.number(), z.string()]));

export class BacnetPeer implements AsyncDisposable {
  readonly #python: PythonPeer;
  /** By number of the device, 1 and 2. */
  readonly ports: z.output<typeof portsSchema>;

  private constructor(python: PythonPeer) {
    this.#python = python;
    this.ports = portsSchema.parse(python.greeting);
  }

  static async start(): Promise<BacnetPeer> {
    return new BacnetPeer(await PythonPeer.start(program, ['bacpypes3==0.0.110']));
  }

  async set(number: 1 | 2, name: string, value: number | string): Promise<void> {
    await this.#python.ask({ do: 'set', number, name, value });
  }

  async get(number: 1 | 2, name: string): Promise<number> {
    return z.number().parse(await this.#python.ask({ do: 'get', number, name }));
  }

  /** Devices that answer nothing. */
  async quiet(...numbers: number[]): Promise<void> {
    await this.#python.ask({ do: 'quiet', numbers });
  }

  /** Devices that do not take a question for many objects. */
  async plain(...numbers: number[]): Promise<void> {
    await this.#python.ask({ do: 'plain', numbers });
  }

  /** Requests since the last time this was asked: device and kind. */
  async asked(): Promise<[number, string][]> {
    return askedSchema.parse(await this.#python.ask({ do: 'asked' }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#python[Symbol.asyncDispose]();
  }
}
