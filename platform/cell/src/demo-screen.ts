import type { DemoFile } from './demo-file.ts';

const columns = { name: 12 };

/** What a person who started the demo wants to know. */
export function welcome(file: DemoFile, fileName: string): string {
  const { user, password } = file.logins.client;
  const lines = [
    '',
    'Domicile is up: two countries that share nothing.',
    '',
    line('Web app', file.web),
    line('Log in as', `${user}   password ${password}   (owns a building in each country)`),
    '',
    ...Object.values(file.cells).flatMap((cell) => [
      line(cell.country, `API ${cell.api}   docs ${cell.api}/docs`),
      line('', `MQTT ${cell.mqtt}   TLS ${cell.mqtts}   buildings ${cell.buildings.join(', ')}`),
      line('', `buildings are declared in ${cell.values}; edit it to add one`),
    ]),
    '',
    line('All else', `${fileName} (tokens, MQTT passwords, admin ports)`),
    line('Try', tryIt(file)),
    line('Stop', 'Ctrl-C'),
    '',
  ];
  return lines.join('\n');
}

function tryIt(file: DemoFile): string {
  const [[cc, cell] = []] = Object.entries(file.cells);
  const building = cell?.buildings.find((id) => id === 'de-7f3k') ?? cell?.buildings[0];
  return `curl -H "Authorization: Bearer $(node -p 'require("./.domicile/demo.json").cells.${cc}.tokens.client')" ${cell?.api}/v1/buildings/${building}/latest`;
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(columns.name)}${text}`;
}

export interface CellFigures {
  readonly country: string;
  readonly readings: number;
  readonly lagRecords: number;
  readonly landedRows: number;
  /** The processes of its way that do not answer. */
  readonly away: readonly string[];
}

/** One line that tells that it lives. */
export function statusLine(figures: readonly CellFigures[], readingsPerSecond: number): string {
  const cells = figures.map(({ country, readings, lagRecords, landedRows, away }) =>
    away.length > 0
      ? `${country} ! ${away.join(', ')} not answering`
      : `${country} ${readings.toLocaleString('en')} readings since start, lag ${lagRecords}, ${landedRows.toLocaleString('en')} rows landed`,
  );
  return `${readingsPerSecond.toFixed(0)} readings/s   ${cells.join('   ')}`;
}
