// The page's connection against a server that is played: what is written, when, and what the page says of itself.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { BTC, HEARTBEAT_MS, channel, delta, frame, heartbeat, hello, keyframe, snapshotEnd } from "./frames_made.mjs";
import { World } from "./surroundings.mjs";

const UNAVAILABLE = 4014;
const FAILED_PRECONDITION = 4009;
const NOT_FOUND = 4005;
const RESOURCE_EXHAUSTED = 4008;

const PLAIN = { symbol: "BTC", timeframe: "24h" };
const LONGS = { ...PLAIN, positions: { venues: [], leverages: [10, 25], side: 1 } };
const COARSE = { ...PLAIN, rowFold: 4 };

let world;
beforeEach(() => (world = new World()));
afterEach(() => world.close());

async function joined() {
  await world.run();
  await world.hear(hello(), frame({ tick: 3n, chunks: [keyframe(3n)] }), snapshotEnd());
  await world.draw();
}

test("a session opens with what is chosen and a window of two", async () => {
  await world.run();

  const [open] = world.socket.of("open");
  assert.equal(open.maxInFlight, 2);
  assert.deepEqual(
    open.channels.map(({ symbol, timeframe }) => [symbol, timeframe]),
    [["BTC", "24h"]],
  );
  assert.deepEqual(open.resume, []);
  assert.equal(world.phase, "connecting");
});

test("the page is in sync after the join, and not before", async () => {
  await world.run();
  await world.hear(hello(), frame({ tick: 3n, chunks: [keyframe(3n)] }));
  assert.equal(world.phase, "joining");

  await world.hear(snapshotEnd());

  assert.equal(world.phase, "in sync");
  assert.equal(world.state.channel("BTC", "24h").ring[0], 9);
});

test("data are acknowledged once they are drawn, by a running total; what has no section is not", async () => {
  await world.run();
  await world.hear(hello(), frame({ tick: 3n, chunks: [keyframe(3n)] }), snapshotEnd());
  assert.deepEqual(world.socket.of("acknowledge"), []);

  await world.draw();
  await world.hear(heartbeat(3n));
  await world.draw();
  assert.deepEqual(world.socket.of("acknowledge").map(({ frames }) => frames), [2n]);

  await world.hear(frame({ tick: 4n, chunks: [delta(3n, 4n, 30)] }), frame({ tick: 5n, chunks: [delta(4n, 5n, 31)] }));
  await world.draw();
  assert.deepEqual(world.socket.of("acknowledge").map(({ frames }) => frames), [2n, 6n]);
});

test("a hidden page acknowledges nothing, and is not in sync again before it has caught up", async () => {
  await joined();
  world.isHidden = true;
  world.connection.visibilityChanged();
  await world.hear(frame({ tick: 4n, chunks: [delta(3n, 4n, 30)] }), frame({ tick: 5n, chunks: [delta(4n, 5n, 31)] }));
  for (let beat = 0; beat < 5; beat++) {
    await world.pass(HEARTBEAT_MS);
    await world.hear(heartbeat(5n));
    await world.draw();
  }
  assert.equal(world.socket.of("acknowledge").length, 1);

  world.isHidden = false;
  world.connection.visibilityChanged();
  assert.equal(world.phase, "joining");
  await world.draw();
  assert.equal(world.socket.of("acknowledge").at(-1).frames, 5n + 0n);
  assert.equal(world.phase, "joining");

  await world.hear(frame({ tick: 99n, chunks: [delta(5n, 99n, 40)] }));
  assert.equal(world.phase, "in sync");
  assert.equal(world.sockets.length, 1);
});

test("a gap is rejected once, and mended by a keyframe on the same stream", async () => {
  await joined();
  await world.hear(frame({ tick: 6n, chunks: [delta(5n, 6n, 30)] }), frame({ tick: 7n, chunks: [delta(6n, 7n, 31)] }));

  const rejects = world.socket.of("reject");
  assert.deepEqual(rejects.map(({ channelIds, reason }) => [channelIds, reason]), [[[7], 1]]);
  assert.equal(world.phase, "out of sync");
  assert.equal(world.state.channel("BTC", "24h").ring[1], 9);

  await world.hear(frame({ tick: 8n, chunks: [keyframe(8n, 50)] }));
  assert.equal(world.phase, "in sync");
  assert.equal(world.state.channel("BTC", "24h").ring[1], 50);
  assert.equal(world.sockets.length, 1);
});

test("a checksum that differs is rejected as such", async () => {
  await joined();

  await world.hear(frame({ tick: 8n, chunks: [keyframe(8n, 50, { checksum: 1 })] }));

  assert.deepEqual(world.socket.of("reject").map(({ reason }) => reason), [2]);
  assert.equal(world.phase, "out of sync");
});

test("what keyframes do not mend is read anew, without a resume point", async () => {
  await joined();
  for (let tick = 8n; tick < 12n; tick++) {
    await world.hear(frame({ tick, chunks: [keyframe(tick, 50, { checksum: 1 })] }));
  }
  assert.equal(world.socket.readyState, 3);

  await world.pass(300);

  assert.equal(world.sockets.length, 2);
  assert.deepEqual(world.socket.of("open")[0].resume, []);
});

test("a keyframe that does not come within ten seconds ends the stream", async () => {
  await joined();
  await world.hear(frame({ tick: 6n, chunks: [delta(5n, 6n, 30)] }));
  for (let beat = 0; beat < 10; beat++) {
    assert.equal(world.socket.readyState, 1);
    await world.hear(heartbeat(6n));
    await world.pass(HEARTBEAT_MS);
  }
  await world.pass(300);

  assert.equal(world.sockets[0].readyState, 3);
});

test("a broken connection is resumed where it was, after a growing time", async () => {
  await joined();
  await world.hear(frame({ tick: 4n, chunks: [delta(3n, 4n, 30)] }));
  await world.end(1006);
  assert.equal(world.phase, "waiting");
  await world.pass(200);
  assert.equal(world.sockets.length, 1);
  await world.pass(100);
  assert.equal(world.sockets.length, 2);
  const [{ resume }] = world.socket.of("open");
  assert.deepEqual(resume.map(({ sourceId, epoch, tick }) => [sourceId, epoch, tick]), [["engine-0", 5n, 4n]]);

  await world.end(UNAVAILABLE, "stopping");
  await world.pass(400);
  assert.equal(world.sockets.length, 2);
  await world.pass(150);
  assert.equal(world.sockets.length, 3);

  await world.hear(hello({ resumed: true }), snapshotEnd());
  assert.equal(world.phase, "in sync");
  assert.equal(world.state.counters.keyframes, 1);
  await world.hear(frame({ tick: 5n, chunks: [delta(4n, 5n, 31)] }));
  assert.equal(world.state.channel("BTC", "24h").ring[1], 31);
});

test("a server that has started anew makes what is held worthless", async () => {
  await joined();
  await world.end(1006);
  await world.pass(300);

  await world.hear(hello({ epoch: 6n }));

  assert.equal(world.phase, "joining");
  assert.equal(world.state.channel("BTC", "24h").ring.length, 0);
  await world.hear(frame({ epoch: 6n, tick: 1n, chunks: [keyframe(1n, 20)] }), snapshotEnd());
  assert.equal(world.phase, "in sync");
});

test("another epoch inside a stream ends it", async () => {
  await joined();

  await world.hear(frame({ epoch: 6n, tick: 1n, chunks: [delta(0n, 1n, 20)] }));

  assert.equal(world.socket.readyState, 3);
  assert.notEqual(world.phase, "in sync");
});

test("silence of three heartbeats is a dead connection", async () => {
  await joined();
  await world.pass(3 * HEARTBEAT_MS - 100);
  assert.equal(world.phase, "in sync");

  await world.pass(700);

  assert.equal(world.sockets.length, 2);
  assert.equal(world.sockets[0].readyState, 3);
  assert.notEqual(world.phase, "in sync");
});

test("messages that come seconds later than the quickest are a reason to connect anew", async () => {
  await world.run();
  await world.hear(hello());
  await world.hear(frame({ tick: 3n, chunks: [keyframe(3n)], sentMs: world.nowMs }), snapshotEnd());
  for (let beat = 0; beat < 4; beat++) {
    await world.pass(HEARTBEAT_MS);
    await world.hear(frame({ tick: 3n, chunks: [], sentMs: 1000 }));
  }

  assert.equal(world.sockets[0].readyState, 3);
});

test("history that is being built is asked for again every second", async () => {
  world.refusal = { code: FAILED_PRECONDITION };
  await world.run();
  assert.equal(world.phase, "building");

  world.refusal = undefined;
  await world.pass(900);
  assert.equal(world.sockets.length, 0);
  await world.pass(150);

  assert.equal(world.sockets.length, 1);
});

test("what is not served is not asked for again until something else is chosen", async () => {
  await world.run();
  await world.end(NOT_FOUND, "symbol 'NOPE' is unknown");
  await world.pass(60_000);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(world.connection.standing(), { phase: "failed", why: "symbol 'NOPE' is unknown" });

  world.connection.select([{ symbol: "ETH", timeframe: "1w" }]);
  await world.settle();

  assert.equal(world.sockets.length, 2);
  assert.equal(world.socket.of("open")[0].channels[0].symbol, "ETH");
});

test("what was served before is asked for again: the server has only just come back", async () => {
  await joined();
  await world.end(NOT_FOUND, "not yet");
  await world.pass(300);

  assert.equal(world.sockets.length, 2);
});

test("other channels come on the same stream, one change at a time, the last one holds", async () => {
  await joined();
  world.connection.select([{ symbol: "BTC", timeframe: "3d" }]);
  world.connection.select([{ symbol: "BTC", timeframe: "1w" }]);
  world.connection.select([{ symbol: "BTC", timeframe: "2w" }]);
  const asked = () => world.socket.of("change").map(({ channels }) => channels[0].timeframe);
  assert.deepEqual(asked(), ["3d"]);

  const [threeDays, twoWeeks] = [channel(8, "BTC", "3d"), channel(9, "BTC", "2w")];
  await world.hear(frame({ selectionChanged: { changes: 1n, starting: [threeDays] } }));
  assert.deepEqual(asked(), ["3d", "2w"]);
  assert.equal(world.phase, "joining");
  await world.hear(
    frame({ selectionChanged: { changes: 2n, starting: [twoWeeks] } }),
    frame({ tick: 9n, chunks: [keyframe(9n, 60, { channelId: 9 })] }),
    snapshotEnd(),
  );

  assert.equal(world.phase, "in sync");
  assert.equal(world.state.channel("BTC", "24h"), undefined);
  assert.equal(world.state.channel("BTC", "2w").ring[0], 60);
});

/** What was asked for in changes, as a word each. */
const changes = () =>
  world.socket.of("change").map(({ channels: [{ positions, rowFold }] }) => (positions ? "longs" : rowFold ? "coarse" : "plain"));

const served = (number, starting, continuing = []) =>
  frame({ selectionChanged: { changes: BigInt(number), starting, continuing } });

const refused = (number) =>
  frame({ selectionChanged: { changes: BigInt(number), continuing: [BTC], refused: "2 such are open" } });

test("a channel of one's own is another than the default one, whatever its id", async () => {
  await joined();
  world.connection.select([LONGS], [PLAIN]);
  const { positions } = world.socket.of("change")[0].channels[0];
  assert.deepEqual([positions.leverages, positions.side], [[10, 25], 1]);

  await world.hear(served(1, [{ ...BTC, channelId: 19, positions }]));
  assert.match(world.connection.standing().why, /^this view has its first grid made/);
  await world.hear(frame({ tick: 9n, chunks: [keyframe(9n, 60, { channelId: 19 })] }), snapshotEnd());

  assert.equal(world.state.channel("BTC", "24h"), undefined);
  assert.equal(world.state.channel("BTC", "24h", LONGS).ring[0], 60);
  assert.deepEqual([world.connection.isSecondChoice, world.connection.refusal, world.phase], [false, "", "in sync"]);
});

test("what is refused gives way to the second choice, and is asked for again: soon, then now and then", async () => {
  await joined();
  world.connection.select([LONGS], [PLAIN]);
  await world.hear(refused(1), snapshotEnd());
  assert.deepEqual(changes(), ["longs", "plain"]);
  assert.deepEqual([world.connection.isSecondChoice, world.connection.refusal], [true, "2 such are open"]);

  await world.hear(served(2, [], [BTC]), snapshotEnd());
  assert.equal(world.phase, "in sync");
  assert.equal(world.state.channel("BTC", "24h").ring[0], 9);
  await world.pass(1400);
  assert.equal(changes().length, 2);
  await world.pass(400);
  assert.deepEqual(changes(), ["longs", "plain", "longs"]);
  assert.deepEqual(world.connection.channels, [PLAIN]);

  await world.hear(refused(3), snapshotEnd());
  assert.deepEqual(changes(), ["longs", "plain", "longs"]);
  for (let beat = 0; beat < 29; beat++) {
    await world.hear(heartbeat(3n));
    await world.pass(1000);
  }
  assert.equal(changes().length, 3);
  await world.hear(heartbeat(3n));
  await world.pass(1500);
  assert.equal(changes().length, 4);

  const { positions } = world.socket.of("change")[3].channels[0];
  await world.hear(served(4, [{ ...BTC, channelId: 19, positions }]));
  assert.deepEqual([world.connection.isSecondChoice, world.connection.refusal], [false, ""]);
  assert.deepEqual(world.connection.channels, [LONGS]);
});

test("an answer to what is asked for no more decides nothing", async () => {
  await joined();
  world.connection.select([LONGS], [PLAIN]);
  world.connection.select([COARSE], [PLAIN]);

  await world.hear(refused(1), snapshotEnd());

  assert.deepEqual(changes(), ["longs", "coarse"]);
  assert.equal(world.connection.isSecondChoice, false);
});

test("a stream that is refused for its channels is opened at once with the second choice", async () => {
  world.connection.select([COARSE], [PLAIN]);
  await world.run();
  assert.equal(world.socket.of("open")[0].channels[0].rowFold, 4);
  await world.end(RESOURCE_EXHAUSTED, "2 custom channels are open");

  assert.equal(world.sockets.length, 2);
  assert.equal(world.socket.of("open")[0].channels[0].rowFold, 0);
  assert.equal(world.connection.isSecondChoice, true);
  await world.end(RESOURCE_EXHAUSTED, "16 streams are open");
  assert.equal(world.phase, "waiting");
});

test("a change that is refused where there is no second choice is told", async () => {
  await joined();
  world.connection.select([{ symbol: "ETH", timeframe: "24h" }]);

  await world.hear(refused(1), snapshotEnd());

  assert.deepEqual(world.connection.standing(), { phase: "failed", why: "2 such are open" });
});

test("who wants other channels than those of the broken stream resumes nothing", async () => {
  await joined();
  await world.end(1006);
  world.connection.select([COARSE], [PLAIN]);
  await world.settle();

  assert.deepEqual(world.socket.of("open")[0].resume, []);
  assert.equal(world.socket.of("open")[0].channels[0].rowFold, 4);
});

test("a page that is hidden when its stream ends waits until it is seen", async () => {
  await joined();
  world.isHidden = true;
  world.connection.visibilityChanged();
  await world.hear(frame({ goingAway: { reconnectAfterMs: 0, reason: "idle" } }));
  await world.end(1000);
  await world.pass(120_000);
  assert.equal(world.sockets.length, 1);

  world.isHidden = false;
  world.connection.visibilityChanged();
  await world.settle();

  assert.equal(world.sockets.length, 2);
  assert.equal(world.socket.of("open")[0].resume.length, 1);
});

test("a server that goes away says how long to stay away", async () => {
  await joined();
  await world.hear(frame({ goingAway: { reconnectAfterMs: 2000, reason: "stopping" } }));
  assert.equal(world.phase, "in sync");
  await world.end(1000);
  await world.pass(2000);
  assert.equal(world.sockets.length, 1);
  await world.pass(300);

  assert.equal(world.sockets.length, 2);
});
