import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { pythonWith } from '@domicile/devkit/python.ts';

/**
 * What paho-mqtt, the MQTT client of the Python world, finds at two replicas of a broker: a subscriber at the first, a
 * publisher at the second. It prints JSON.
 */
const program = `
import json, sys, threading, time, uuid
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

here, there, version, count = (int(each) for each in sys.argv[1:5])
prefix = 'paho/%s/' % uuid.uuid4().hex[:8]
found = {}

class Client:
    def __init__(self, port, name=None, kept=False, will=None):
        self.heard, self.done, self.present = [], threading.Event(), None
        more = {} if version == 5 else {'clean_session': not kept}
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=prefix + (name or uuid.uuid4().hex), protocol=version, **more)
        self.mqtt.on_message = lambda client, data, message: self.heard.append(message)
        self.mqtt.on_connect = self.connected
        self.mqtt.on_subscribe = lambda *_: self.done.set()
        if will: self.mqtt.will_set(*will)
        options = {}
        if version == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 60 if kept else 0
            options = {'clean_start': not kept, 'properties': properties}
        self.mqtt.connect('127.0.0.1', port, 30, **options)
        self.mqtt.loop_start()
        self.wait()
    def connected(self, client, data, flags, reason, properties):
        self.present = flags.session_present
        self.done.set()
    def wait(self):
        assert self.done.wait(15), 'no answer'
        self.done.clear()
    def subscribe(self, *topics):
        for topic in topics:
            self.mqtt.subscribe(topic, options=SubscribeOptions(qos=2)) if version == 5 else self.mqtt.subscribe(topic, 2)
            self.wait()
    def publish(self, topic, payloads, qos=1, retain=False, properties=None):
        sent = [self.mqtt.publish(topic, str(payload), qos, retain, properties) for payload in payloads]
        for each in sent: each.wait_for_publish(20)
    def payloads(self, topic, count, seconds=20):
        until = time.time() + seconds
        while time.time() < until:
            mine = [message.payload.decode() for message in self.heard if message.topic == topic]
            if len(mine) >= count: break
            time.sleep(0.01)
        return mine
    def stop(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

publisher = Client(there)
subscriber = Client(here)
topics = [prefix + 'q0', prefix + 'q1', prefix + 'q2']
subscriber.subscribe(prefix + '+')
for qos, topic in enumerate(topics):
    publisher.publish(topic, range(count), qos)
found['orderly'] = [subscriber.payloads(topic, count) == [str(each) for each in range(count)] for topic in topics]

if version == 5:
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [('b', '1'), ('a', '2'), ('b', '3')]
    properties.CorrelationData = b'\\x00\\xff'
    properties.ResponseTopic = 'answer'
    publisher.publish(prefix + 'properties', ['x'], 1, False, properties)
    subscriber.payloads(prefix + 'properties', 1)
    heard = [each for each in subscriber.heard if each.topic == prefix + 'properties'][0].properties
    found['properties'] = [heard.UserProperty, heard.CorrelationData.hex(), heard.ResponseTopic]

publisher.publish(prefix + 'kept', ['retained'], 1, True)
late = Client(here)
late.subscribe(prefix + 'kept')
found['retained'] = late.payloads(prefix + 'kept', 1)

away = Client(here, 'away', kept=True)
away.subscribe(prefix + 'away')
away.stop()
publisher.publish(prefix + 'away', range(count), 1)
back = Client(there, 'away', kept=True)
found['away'] = [back.present, back.payloads(prefix + 'away', count) == [str(each) for each in range(count)]]

dying = Client(there, will=(prefix + 'will', 'gone', 1, False))
dying.mqtt.loop_stop()
dying.mqtt.socket().close()
found['will'] = subscriber.payloads(prefix + 'will', 1)
for client in (publisher, subscriber, late, back): client.stop()
print(json.dumps(found))
`;

export async function askPaho(ports: readonly number[], version: 4 | 5, count: number) {
  const python = await pythonWith(['paho-mqtt==2.2.0']);
  const parameters = [...ports, version, count].map(String);
  const { stdout } = await promisify(execFile)(python, ['-c', program, ...parameters]);
  const found: unknown = JSON.parse(stdout);
  return found;
}
