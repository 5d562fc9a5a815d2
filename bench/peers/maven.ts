/** Jars from Maven Central, with all that they need, into a folder. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runStep } from './peer.ts';

export type Artefact = readonly [group: string, name: string, version: string];

const dependency = ([group, name, version]: Artefact) =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId>` +
  `<version>${version}</version></dependency>`;

/** The jars lie in `libs` of the folder afterwards. */
export function installJars(folder: string, artefacts: readonly Artefact[]): void {
  mkdirSync(folder, { recursive: true });
  const pom = [
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>',
    '<groupId>bench</groupId><artifactId>jars</artifactId><version>1</version>',
    '<packaging>pom</packaging><dependencies>',
    ...artefacts.map(dependency),
    '</dependencies></project>',
  ];
  writeFileSync(join(folder, 'pom.xml'), pom.join('\n'));
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libs')}`];
  runStep('mvn', ['-q', '-B', '-f', join(folder, 'pom.xml'), ...goal], {});
}
