/* A WebSocket: the upgrade, whole binary messages from the server, and what the peer of a Session has to say. */

#include "fanout_client.h"

enum { WHOLE = 0x80, OPCODE = 0x0f, MASKED = 0x80, SIZE = 0x7f };
enum { BINARY = 2, WEBSOCKET_PING = 9, PONG = 10 };
enum { SIZE_IN_2 = 126, SIZE_IN_8 = 127, MAX_SAID_BYTES = 125 };

static int is_session; /* open it, and acknowledge every message; else only listen */

static void ask_for_websocket(struct client *client, int port) {
    char out[512];
    int size = snprintf(out, sizeof out,
                        "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bGlxc2NhcGUgZmFub3V0IQ==\r\n"
                        "Sec-WebSocket-Protocol: liqscape.v1\r\n\r\n", port);
    send_all(client, (const uint8_t *)out, (size_t)size);
}

static void say(struct client *client, uint8_t opcode, const uint8_t *payload, size_t size) {
    static const uint8_t MASK[4] = {0x5a, 0xc3, 0x96, 0x3c};
    uint8_t out[2 + sizeof MASK + MAX_SAID_BYTES];
    if (size > MAX_SAID_BYTES) fail("a message of %zu bytes is too long to be said", size);
    out[0] = WHOLE | opcode;
    out[1] = (uint8_t)(MASKED | size);
    memcpy(out + 2, MASK, sizeof MASK);
    for (size_t i = 0; i < size; i++) out[2 + sizeof MASK + i] = payload[i] ^ MASK[i % sizeof MASK];
    send_all(client, out, 2 + sizeof MASK + size);
}

/* SessionRequest {open {max_in_flight: 8}}: the widest window, so that acknowledgements never are what is waited for. */
static void open_session(struct client *client) {
    static const uint8_t OPEN[] = {0x0a, 2, 0x20, 8};
    say(client, BINARY, OPEN, sizeof OPEN);
}

/* SessionRequest {acknowledge {frames}} */
static void acknowledge(struct client *client) {
    uint8_t out[2 + 1 + 10] = {0x12, 0, 0x08}, *end = out + 3;
    uint64_t frames = client->messages;
    for (; frames > 0x7f; frames >>= 7) *end++ = (uint8_t)(frames | 0x80);
    *end++ = (uint8_t)frames;
    out[1] = (uint8_t)(end - out - 2);
    say(client, BINARY, out, (size_t)(end - out));
}

/* Returns how many bytes the answer to the upgrade has; 0 = not all of it is here. */
static size_t take_upgrade(struct client *client) {
    static const char SWITCHED[] = "HTTP/1.1 101 ", END[] = "\r\n\r\n";
    const uint8_t *end = memmem(client->message, client->message_size, END, sizeof END - 1);
    if (!end) return 0;
    if (memcmp(client->message, SWITCHED, sizeof SWITCHED - 1)) fail("the server opens no WebSocket");
    client->is_open = 1;
    if (is_session) open_session(client);
    return (size_t)(end - client->message) + sizeof END - 1;
}

static void take_websocket_frame(struct client *client, uint8_t opcode, const uint8_t *payload, size_t size) {
    if (opcode == WEBSOCKET_PING) {
        say(client, PONG, payload, size);
        return;
    }
    if (opcode != BINARY) fail("the server sent a frame of kind %u", opcode);
    client->messages++;
    take_message(client, payload, size);
    if (is_session) acknowledge(client);
}

/* Returns how many bytes the frame at `at` has, head and all; 0 = not all of it is here. */
static size_t take_one(struct client *client, const uint8_t *at, size_t left) {
    if (left < 2) return 0;
    size_t size = at[1] & SIZE, size_bytes = size == SIZE_IN_2 ? 2 : size == SIZE_IN_8 ? 8 : 0;
    if (left < 2 + size_bytes) return 0;
    if (size_bytes) size = 0;
    for (size_t i = 0; i < size_bytes; i++) size = size << 8 | at[2 + i];
    if (!(at[0] & WHOLE) || at[1] & MASKED || size > MAX_MESSAGE_BYTES) fail("a frame is a part, masked or too long");
    if (left - 2 - size_bytes < size) return 0;
    take_websocket_frame(client, at[0] & OPCODE, at + 2 + size_bytes, size);
    return 2 + size_bytes + size;
}

static void read_websocket(struct client *client) {
    make_room(client, INPUT_BYTES);
    ssize_t got = recv(client->fd, client->message + client->message_size, INPUT_BYTES, 0);
    if (got <= 0) fail("a connection was closed");
    client->message_size += (size_t)got;
    size_t at = client->is_open ? 0 : take_upgrade(client), size;
    if (!client->is_open) return;
    while ((size = take_one(client, client->message + at, client->message_size - at))) at += size;
    drop(client, at);
}
