/**
 * Kafka for tests, from Maven coordinates: 35 jars, an archive of loaded classes, and the bootstrap checkpoint that
 * `StorageTool format` makes. All of it is cached, keyed by Kafka version and Java build.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const KAFKA_VERSION = '4.2.0';
export const CLUSTER_ID = '5L6g3nShT-eMCtK--X86sw';

/** Order matters: the class archive is valid only for the very same class path. */
const ARTIFACTS = [
  'kafka_2.13',
  'kafka-clients',
  'kafka-metadata',
  'kafka-raft',
  'kafka-server',
  'kafka-server-common',
  'kafka-storage',
  'kafka-storage-api',
  'kafka-group-coordinator',
  'kafka-group-coordinator-api',
  'kafka-coordinator-common',
  'kafka-share-coordinator',
  'kafka-transaction-coordinator',
  'scala-library',
  'scala-logging_2.13',
  'slf4j-api',
  'slf4j-simple',
  'log4j-api',
  'log4j-core',
  'jackson-core',
  'jackson-databind',
  'jackson-annotations',
  'jackson-dataformat-yaml',
  'snakeyaml',
  'metrics-core',
  'jopt-simple',
  'argparse4j',
  'HdrHistogram',
  'pcollections',
  'commons-validator',
  're2j',
  'caffeine',
  'zstd-jni',
  'lz4-java',
  'snappy-java',
];

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>domicile</groupId><artifactId>kafka-jars</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
`;

/** 128 MiB of heap serve about 100,000 records/s; one compiler tier and the archive start a node in 2 s. */
const JVM_FLAGS = [
  '-Xms32m',
  '-Xmx128m',
  '-XX:ReservedCodeCacheSize=48m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
];

export interface KafkaInstall {
  readonly classPath: string;
  /** Arguments before the main class, the class archive included once it exists. */
  readonly javaArguments: readonly string[];
  readonly archiveFile: string;
  /** Made by `StorageTool format`. Without it a node starts, but AddPartitionsToTxn above v3 is an UNSUPPORTED_VERSION. */
  readonly checkpointFile: string;
}

/** Fetches what is missing from `cacheDir` and returns the paths. Safe to call from two processes at once. */
export async function installKafka(cacheDir: string): Promise<KafkaInstall> {
  const root = resolve(cacheDir, `kafka-${KAFKA_VERSION}`);
  const libs = join(root, 'libs');
  if (!existsSync(libs)) await intoPlace(libs, fetchJars);
  const jars = await readdir(libs);
  const classPath = ARTIFACTS.map((artifact) => {
    const jar = jars.find(
      (name) => name.startsWith(`${artifact}-`) && /^\d/.test(name.slice(artifact.length + 1)),
    );
    if (jar === undefined)
      throw new Error(`Cannot build the class path: no ${artifact} in ${libs}`);
    return join(libs, jar);
  }).join(':');

  const { stderr: javaVersion } = await run('java', ['-version']);
  const key = createHash('sha256').update(javaVersion).update(classPath).digest('hex').slice(0, 12);
  const archiveFile = join(root, `classes-${key}.jsa`);
  const javaArguments = [
    ...JVM_FLAGS,
    ...(existsSync(archiveFile) ? [`-XX:SharedArchiveFile=${archiveFile}`] : []),
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-cp',
    classPath,
  ];
  const install = {
    classPath,
    javaArguments,
    archiveFile,
    checkpointFile: join(root, 'bootstrap.checkpoint'),
  };
  if (!existsSync(install.checkpointFile))
    await intoPlace(install.checkpointFile, (file) => makeCheckpoint(install, file));
  return install;
}

/** Runs `kafka.tools.StorageTool format` with the given properties and extra arguments (`--add-scram`, ...). */
export async function formatStorage(
  install: KafkaInstall,
  propertiesFile: string,
  extra: readonly string[] = [],
): Promise<void> {
  const args = [
    'kafka.tools.StorageTool',
    'format',
    '-t',
    CLUSTER_ID,
    '-c',
    propertiesFile,
    ...extra,
  ];
  await run('java', [...install.javaArguments, ...args]);
}

async function fetchJars(target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  await writeFile(join(target, 'pom.xml'), POM);
  const only = `-DincludeArtifactIds=${ARTIFACTS.join(',')}`;
  await run('mvn', [
    '-q',
    '-B',
    '-f',
    join(target, 'pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${target}`,
    only,
  ]);
}

async function makeCheckpoint(install: KafkaInstall, target: string): Promise<void> {
  const scratch = await mkdtemp(`${target}-`);
  const properties = join(scratch, 'format.properties');
  await writeFile(
    properties,
    [
      'node.id=1',
      'process.roles=broker,controller',
      'controller.quorum.voters=1@127.0.0.1:1',
      'listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1',
      'controller.listener.names=CONTROLLER',
      `log.dirs=${join(scratch, 'data')}`,
    ].join('\n'),
  );
  await formatStorage(install, properties);
  await copyFile(join(scratch, 'data', 'bootstrap.checkpoint'), target);
  await rm(scratch, { recursive: true });
}

/** Makes a file or folder under a passing name and renames it, so that nobody sees a half-made one. */
async function intoPlace(target: string, make: (path: string) => Promise<void>): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  const passing = `${target}.${process.pid}`;
  await make(passing);
  await rename(passing, target).catch(async (error: unknown) => {
    if (!existsSync(target)) throw error;
    await rm(passing, { recursive: true, force: true });
  });
}
