/** What came over the wire cannot be what the protocol says: the channel is out of sync. */
export class BadPayload extends Error {}
