/** The toolchains of the foreign clients; `install.ts` beside this installs them all at once. */
import { debian } from './debian.ts';
import { natsGo } from './go.ts';
import { kafkaGo, kafkaNode, kafkaRust } from './kafka-clients.ts';
import { kafkaPrograms } from './kafka-programs.ts';
import { kafkaTools } from './kafka-tools.ts';
import { mqttGo, mqttJava, mqttRust } from './mqtt.ts';
import { python } from './python.ts';
import { moto, versitygw } from './s3.ts';

export { debian } from './debian.ts';
export { natsGo } from './go.ts';
export { kafkaPrograms } from './kafka-programs.ts';
export { kafkaToolArguments, kafkaTools } from './kafka-tools.ts';
export { mqttGo, mqttJava, mqttRust } from './mqtt.ts';
export { python } from './python.ts';
export { moto, versitygw } from './s3.ts';
export { forgetFailure, ready } from './toolchain.ts';

export const TOOLCHAINS = [debian, python, kafkaTools, natsGo, moto, versitygw] as const;

/** Those that the full tier needs in addition: they take long to build. */
export const FULL_TOOLCHAINS = [
  kafkaGo,
  kafkaNode,
  kafkaPrograms,
  kafkaRust,
  mqttGo,
  mqttJava,
  mqttRust,
] as const;
