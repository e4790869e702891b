/** The broker's dashboard for Grafana and its alerts for Prometheus, as data. `dashboards/generated` holds them as files. */

type Unit = 'short' | 'ops' | 'Bps' | 's' | 'dateTimeFromNow' | 'percentunit';

interface PanelSource {
  readonly title: string;
  readonly description: string;
  readonly unit: Unit;
  /** PromQL, and the legend of its series. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

interface Section {
  readonly title: string;
  readonly panels: readonly PanelSource[];
}

const of = '{country=~"$country",instance=~"$instance"}';
const rate = (metric: string, by?: string): string =>
  by === undefined
    ? `sum(rate(${metric}${of}[$__rate_interval]))`
    : `sum by (${by}) (rate(${metric}${of}[$__rate_interval]))`;
const sum = (metric: string): string => `sum(${metric}${of})`;
const quantile = (q: number, metric: string, by = ''): string =>
  `histogram_quantile(${q}, sum by (le${by}) (rate(${metric}_bucket${of}[$__rate_interval])))`;

const sections: readonly Section[] = [
  {
    title: 'Clients',
    panels: [
      {
        title: 'Connections and sessions',
        description: 'Sessions live on while their clients are away, up to their expiry.',
        unit: 'short',
        queries: [
          [sum('mqtt_connections'), 'connections'],
          [sum('mqtt_sessions'), 'sessions here'],
          [sum('mqtt_subscriptions'), 'subscriptions'],
        ],
      },
      {
        title: 'Connects and disconnects',
        description: 'By reason code of MQTT 5; 0x00 is a client that said goodbye.',
        unit: 'ops',
        queries: [
          [rate('mqtt_connects_total', 'resumed'), 'connected, resumed {{resumed}}'],
          [rate('mqtt_client_disconnects_total', 'reason'), 'gone {{reason}}'],
        ],
      },
      {
        title: 'Refused clients',
        description: 'Why the gatekeeper let them not in, and sockets that never spoke MQTT.',
        unit: 'ops',
        queries: [
          [rate('mqtt_admission_refused_total', 'cause'), '{{cause}}'],
          [rate('mqtt_connects_refused_total', 'reason'), 'CONNACK {{reason}}'],
          [rate('mqtt_sockets_refused_total', 'transport, cause'), '{{transport}} {{cause}}'],
        ],
      },
      {
        title: 'Ended by an operator or with their credential',
        description: 'Live connections whose certificate or password no longer holds, and kicks.',
        unit: 'ops',
        queries: [
          [rate('mqtt_credentials_ended_total', 'cause'), '{{cause}}'],
          [rate('mqtt_sessions_kicked_total'), 'kicked'],
        ],
      },
    ],
  },
  {
    title: 'Messages',
    panels: [
      {
        title: 'Messages in',
        description: 'PUBLISH from clients, and those that were refused.',
        unit: 'ops',
        queries: [
          [rate('mqtt_messages_received_total', 'qos'), 'QoS {{qos}}'],
          [rate('mqtt_messages_refused_total', 'reason'), 'refused {{reason}}'],
          [rate('mqtt_messages_not_kept_total'), 'not kept by Kafka'],
        ],
      },
      {
        title: 'Messages out',
        description: 'To clients, and those that were not delivered.',
        unit: 'ops',
        queries: [
          [rate('mqtt_messages_sent_total', 'kind'), '{{kind}}'],
          [rate('mqtt_messages_dropped_total', 'kind, reason'), '{{kind}} {{reason}}'],
        ],
      },
      {
        title: 'Time to the ack',
        description: 'From the receipt of a message to its ack, which waits for Kafka.',
        unit: 's',
        queries: [
          [quantile(0.5, 'mqtt_publish_ack_seconds'), 'half'],
          [quantile(0.99, 'mqtt_publish_ack_seconds', ', stream'), '99 % {{stream}}'],
        ],
      },
      {
        title: 'Bytes',
        description: 'What sockets carried, TLS and WebSocket frames included.',
        unit: 'Bps',
        queries: [
          [rate('mqtt_bytes_received_total'), 'received'],
          [rate('mqtt_bytes_sent_total'), 'sent'],
        ],
      },
      {
        title: 'Waiting',
        description: 'Taken from clients and not yet settled; commands that no gateway has.',
        unit: 'short',
        queries: [
          [sum('mqtt_in_flight_messages'), 'in flight'],
          [sum('broker_pending_commands'), 'commands'],
          [sum('mqtt_retained_messages'), 'retained'],
          [sum('mqtt_sessions_behind'), 'sessions that read back'],
        ],
      },
      {
        title: 'Held for their rate',
        description: 'Times that a building or a device over its limit was not read from.',
        unit: 'ops',
        queries: [[rate('mqtt_holds_total', 'limit'), '{{limit}}']],
      },
    ],
  },
  {
    title: 'Replicas and sessions',
    panels: [
      {
        title: 'Replicas',
        description: 'Those that show signs of life, as each sees them.',
        unit: 'short',
        queries: [
          [`min(broker_replicas${of})`, 'fewest seen'],
          [`max(broker_replicas${of})`, 'most seen'],
        ],
      },
      {
        title: 'Sessions between replicas',
        description: 'Taken over, given up, ended for a replica that is gone.',
        unit: 'ops',
        queries: [
          [rate('broker_sessions_taken_total', 'handover'), 'taken: {{handover}}'],
          [rate('broker_sessions_given_up_total'), 'given up'],
          [rate('broker_orphans_ended_total'), 'orphans ended'],
          [rate('broker_sessions_not_kept_total'), 'not kept'],
          [rate('mqtt_positions_lost_total'), 'behind retention'],
        ],
      },
    ],
  },
  {
    title: 'Process',
    panels: [
      {
        title: 'TLS handshakes',
        description: 'Sockets in line, and what a handshake takes from its turn on.',
        unit: 's',
        queries: [[quantile(0.99, 'mqtt_tls_handshake_seconds'), '99 %']],
      },
      {
        title: 'TLS line',
        description: 'Sockets that wait for their handshake.',
        unit: 'short',
        queries: [[sum('mqtt_tls_handshakes_waiting'), 'waiting']],
      },
      {
        title: 'Server certificate ends',
        description: 'The earliest of all replicas.',
        unit: 'dateTimeFromNow',
        queries: [
          [`min(mqtt_tls_certificate_expires_timestamp_seconds${of} > 0) * 1000`, 'certificate'],
        ],
      },
      {
        title: 'Event loop',
        description: 'How late the process is for its own timers, and its share of one core.',
        unit: 's',
        queries: [
          [`max(nodejs_eventloop_lag_p99_seconds${of})`, 'lag, 99 %'],
          [rate('process_cpu_seconds_total', 'instance'), 'CPU seconds a second, {{instance}}'],
        ],
      },
    ],
  },
];

const datasource = { type: 'prometheus', uid: '${datasource}' };
const columns = 2;
const width = 24 / columns;
const height = 8;

/** A dashboard as Grafana imports it (schema 39). */
export function brokerDashboard() {
  const panels: object[] = [];
  let y = 0;
  for (const section of sections) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: section.title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    for (const [index, source] of section.panels.entries()) {
      const at = { x: (index % columns) * width, y: y + Math.floor(index / columns) * height };
      panels.push(panelOf(source, panels.length + 1, { ...at, w: width, h: height }));
    }
    y += Math.ceil(section.panels.length / columns) * height;
  }
  return {
    uid: 'domicile-broker',
    title: 'Domicile: broker',
    tags: ['domicile', 'mqtt'],
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        variable('country', 'label_values(mqtt_connections, country)'),
        variable('instance', 'label_values(mqtt_connections{country=~"$country"}, instance)'),
      ],
    },
    panels,
  };
}

function variable(name: string, query: string) {
  return { name, type: 'query', datasource, query, includeAll: true, multi: true, refresh: 2 };
}

function panelOf(source: PanelSource, id: number, gridPos: object) {
  const { title, description, unit, queries } = source;
  return {
    id,
    type: 'timeseries',
    title,
    description,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: { unit, min: unit === 'dateTimeFromNow' ? undefined : 0 },
      overrides: [],
    },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource,
      expr,
      legendFormat,
    })),
  };
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: 'page' | 'ticket';
  readonly summary: string;
}

const alerts: readonly Alert[] = [
  {
    alert: 'BrokerMessagesNotKept',
    expr: 'sum by (country) (rate(mqtt_messages_not_kept_total[5m])) > 0',
    for: '5m',
    severity: 'page',
    summary: 'Kafka does not take messages: gateways store and come again. Look at Kafka.',
  },
  {
    alert: 'BrokerAcksSlow',
    expr: 'histogram_quantile(0.99, sum by (country, le) (rate(mqtt_publish_ack_seconds_bucket[5m]))) > 1',
    for: '10m',
    severity: 'ticket',
    summary: 'One ack of a hundred takes more than a second.',
  },
  {
    alert: 'BrokerCertificateEnds',
    expr: 'min by (country) (mqtt_tls_certificate_expires_timestamp_seconds > 0) - time() < 7 * 86400',
    for: '1h',
    severity: 'page',
    summary: 'The server certificate ends within a week: renew the file, no restart is needed.',
  },
  {
    alert: 'BrokerTlsFilesNotLoaded',
    expr: 'sum by (country) (increase(mqtt_tls_loads_total{outcome="failed"}[15m])) > 0',
    for: '0m',
    severity: 'ticket',
    summary: 'A new certificate or list of revoked ones cannot be used; the old one still holds.',
  },
  {
    alert: 'BrokerRevocationListLate',
    expr: 'min by (country) (mqtt_tls_lists_next_update_timestamp_seconds > 0) - time() < 0',
    for: '1h',
    severity: 'ticket',
    summary: 'The list of revoked certificates is past its next update: fetch the newest.',
  },
  {
    alert: 'BrokerGuessing',
    expr: 'sum by (country) (rate(mqtt_admission_refused_total{cause="back-off"}[10m])) > 1',
    for: '10m',
    severity: 'ticket',
    summary: 'Somebody tries passwords, or a gateway keeps an old one.',
  },
  {
    alert: 'BrokerHandshakesWait',
    expr: 'sum by (country) (mqtt_tls_handshakes_waiting) > 500',
    for: '5m',
    severity: 'ticket',
    summary: 'More clients come by TLS than are let in: a storm, or too few replicas.',
  },
  {
    alert: 'BrokerPositionsLost',
    expr: 'sum by (country) (increase(mqtt_positions_lost_total[1h])) > 0',
    for: '0m',
    severity: 'ticket',
    summary: 'A client was away for longer than its messages were kept.',
  },
];

/** Rules as Prometheus reads them. */
export function brokerAlerts() {
  return {
    groups: [
      {
        name: 'domicile-broker',
        rules: alerts.map(({ severity, summary, ...rule }) => ({
          ...rule,
          labels: { severity },
          annotations: { summary, runbook: 'docs/operations/broker.md' },
        })),
      },
    ],
  };
}
