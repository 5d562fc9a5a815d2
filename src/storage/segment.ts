export class Segment {}
