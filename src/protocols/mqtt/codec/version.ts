/** Protocol levels as CONNECT carries them: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5;
