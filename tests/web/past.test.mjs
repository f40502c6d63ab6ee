// The page's look at the past against a server that is played: what is written, what is held, and what the page says of it.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test, mock } from "node:test";
import { PlaybackRequestSchema } from "../../clients/web/protocol/liqscape/v1/stream_pb.js";
import { Past } from "../../clients/web/stream/past.js";
import { fromBinary } from "../../clients/web/stream/protobuf.js";
import { delta, frame, hello, keyframe, snapshotEnd } from "./frames_made.mjs";

const BTC = { symbol: "BTC", timeframe: "24h" };
const LONGS = { ...BTC, positions: { venues: [], leverages: [], side: 1 } };
const PLAYING = 1;
const PAUSED = 2;
const STOPPED = 3;
const OUT_OF_RANGE = 4011;
const UNAVAILABLE = 4014;

class FakeSocket {
  readyState = 1;
  written = [];

  send(bytes) {
    this.written.push(fromBinary(PlaybackRequestSchema, bytes).request);
  }

  close() {
    this.readyState = 3;
  }

  kinds() {
    return this.written.map((request) => request.case);
  }
}

let past;
let sockets;
let moves;
beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  sockets = [];
  moves = [];
  const open = async () => {
    sockets.push(new FakeSocket());
    return sockets.at(-1);
  };
  past = new Past({ open, nowMs: () => 0, drawn: async () => {} }, () => {}, () => moves.push(past.minute));
});
afterEach(() => {
  past.leave();
  mock.timers.reset();
});

/** Let everything that can go on go on. */
async function settle() {
  for (let before; before !== past.stream?.applying; ) {
    before = past.stream?.applying;
    await before;
  }
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function hear(...frames) {
  for (const bytes of frames) {
    sockets.at(-1).onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
  }
  await settle();
}

const picture = (tick, chunk, minute, state = PAUSED, more = {}) =>
  frame({ tick, chunks: [chunk], playback: { minute: BigInt(minute), state, ...more } });

async function shown(minute, until = 2000) {
  past.show(BTC, minute, until);
  await settle();
  await hear(hello(), picture(1n, keyframe(1n), minute), snapshotEnd());
}

const opened = (socket) => {
  const { value } = socket.written[0];
  return [Number(value.fromMinute), Number(value.untilMinute), value.paused, value.channels[0].timeframe];
};

test("a minute is asked for as a paused playback from it on, and held once its picture has come", async () => {
  past.show(BTC, 1000, 2000);
  await settle();
  assert.deepEqual(opened(sockets[0]), [1000, 2000, true, "24h"]);
  assert.equal(past.standing().phase, "joining");

  await hear(hello(), picture(1n, keyframe(1n), 1000), snapshotEnd());

  assert.equal(past.standing().phase, "in sync");
  assert.equal(past.replica.ring[0], 9);
  assert.deepEqual(sockets[0].kinds(), ["open", "acknowledge"]);
});

test("a later minute is sought on the same line, an earlier one or another channel opened anew", async () => {
  await shown(1000);

  past.show(BTC, 1500, 2000);
  assert.deepEqual(sockets[0].kinds().slice(2), ["pause", "seek"]);
  past.show(BTC, 900, 2000);
  await settle();
  assert.deepEqual([sockets.length, sockets[0].readyState, opened(sockets[1])[0]], [2, 3, 900]);
  past.show(LONGS, 900, 2000);
  await settle();

  assert.equal(sockets.length, 3);
  assert.equal(past.replica, undefined);
});

test("what was under way when another minute was sought is not taken for it", async () => {
  await shown(1000);
  past.show(BTC, 1500, 2000);

  await hear(picture(2n, delta(1n, 2n, 30), 1002));
  assert.deepEqual([past.standing().phase, past.wanted], ["joining", 1500]);
  await hear(picture(3n, keyframe(3n, 7), 1500));

  assert.deepEqual([past.standing().phase, past.wanted, past.replica.ring[0]], ["in sync", 1500, 7]);
});

test("it plays on, and a picture that comes after it was told to stay is the one that is held", async () => {
  await shown(1000);
  past.play(2000);
  await hear(picture(2n, delta(1n, 2n, 30), 1002, PLAYING));
  assert.deepEqual([past.isPlaying, past.wanted], [true, 1002]);

  past.pause();
  await hear(picture(3n, delta(2n, 3n, 31), 1004, PAUSED, { requests: 2n }));

  assert.deepEqual([past.isPlaying, past.wanted, past.standing().phase], [false, 1004, "in sync"]);
  assert.deepEqual(sockets[0].kinds().filter((kind) => kind !== "acknowledge"), ["open", "play", "pause"]);
});

test("at the end of the span it stays, and goes on where there is more by then", async () => {
  await shown(1000, 1003);
  past.play(1003);
  await hear(picture(2n, delta(1n, 2n, 30), 1002, STOPPED, { stopped: 1 }));
  assert.deepEqual([past.isPlaying, past.standing().phase], [false, "in sync"]);

  past.play(1010);
  await settle();

  assert.deepEqual(opened(sockets[1]), [1002, 1010, false, "24h"]);
});

test("a minute that is not held is said so, and nothing is asked again before the user does", async () => {
  past.show(BTC, 1000, 2000);
  await settle();
  sockets[0].onclose({ code: OUT_OF_RANGE, reason: "ask for 1200 to 2000" });
  await settle();
  assert.deepEqual(past.standing(), { phase: "failed", why: "ask for 1200 to 2000" });
  mock.timers.tick(60_000);
  await settle();
  assert.equal(sockets.length, 1);

  past.show(BTC, 1200, 2000);
  await settle();

  assert.deepEqual([sockets.length, past.standing().phase], [2, "joining"]);
});

test("a line that breaks while something is awaited is opened again; one that ends behind a picture costs nothing", async () => {
  await shown(1000);
  sockets[0].onclose({ code: 1000, reason: "" });
  await settle();
  mock.timers.tick(60_000);
  await settle();
  assert.deepEqual([sockets.length, past.standing().phase], [1, "in sync"]);

  past.play(2000);
  await settle();
  sockets[1].onclose({ code: UNAVAILABLE, reason: "the engine is gone" });
  await settle();
  assert.equal(past.standing().why, "the engine is gone");
  mock.timers.tick(1500);
  await settle();

  assert.deepEqual([sockets.length, opened(sockets[2])], [3, [1000, 2000, false, "24h"]]);
});

test("a broken chain is never drawn: the picture is fetched anew", async () => {
  await shown(1000);
  past.play(2000);
  await hear(picture(3n, delta(2n, 3n, 31), 1004, PLAYING));
  assert.match(past.standing().why, /gap/);

  mock.timers.tick(1500);
  await settle();

  assert.equal(sockets.length, 2);
});

test("who leaves closes the line, and what still comes is not heard", async () => {
  await shown(1000);
  past.leave();

  await hear(picture(2n, delta(1n, 2n, 30), 1002));

  assert.deepEqual([sockets[0].readyState, past.isOn, past.minute], [3, false, undefined]);
});
