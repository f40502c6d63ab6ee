/* gRPC's Subscribe: preface, SETTINGS, one HEADERS frame of literal fields, WINDOW_UPDATE, answers to SETTINGS and PING. */

#include "fanout_client.h"
#include "fanout_http2.h"

enum {
    MESSAGE_HEADER = 5,
    WINDOW_BYTES = 1 << 20,
    WINDOW_UPDATE_BYTES = 1 << 18,   /* told in steps, as clients do, not with each frame */
};

static void open_grpc(struct client *client, int port) {
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    char authority[32];
    uint8_t fields[512], out[1024], *end = fields, *at = out;
    snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
    end = put_field(end, ":method", "POST");
    end = put_field(end, ":scheme", "http");
    end = put_field(end, ":path", "/liqscape.v1.StreamService/Subscribe");
    end = put_field(end, ":authority", authority);
    end = put_field(end, "content-type", "application/grpc");
    end = put_field(end, "te", "trailers");

    at = (uint8_t *)stpcpy((char *)at, PREFACE);
    at = put_frame_header(at, 12, SETTINGS, 0, 0);
    at = put_big_endian(put_big_endian(at, 2, 2), 0, 4);            /* no push */
    at = put_big_endian(put_big_endian(at, 4, 2), WINDOW_BYTES, 4); /* window of a stream */
    at = put_frame_header(at, 4, WINDOW_UPDATE, 0, 0);
    at = put_big_endian(at, WINDOW_BYTES, 4);
    at = put_frame_header(at, (uint32_t)(end - fields), HEADERS, END_HEADERS, 1);
    at = mempcpy(at, fields, (size_t)(end - fields));
    at = put_frame_header(at, MESSAGE_HEADER, DATA, END_STREAM, 1);
    at = put_big_endian(put_big_endian(at, 0, 1), 0, 4);            /* an empty request asks for everything */
    send_all(client, out, (size_t)(at - out));
}

static void take_data(struct client *client, const uint8_t *data, uint32_t size) {
    make_room(client, size);
    memcpy(client->message + client->message_size, data, size);
    client->message_size += size;
    size_t at = 0;
    while (client->message_size - at >= MESSAGE_HEADER) {
        size_t whole = MESSAGE_HEADER + (size_t)big_endian(client->message + at + 1, 4);
        if (client->message[at] || whole > MAX_MESSAGE_BYTES) fail("a message is compressed or too long");
        if (client->message_size - at < whole) break;
        take_message(client, client->message + at + MESSAGE_HEADER, whole - MESSAGE_HEADER);
        at += whole;
    }
    drop(client, at);
    client->unacknowledged += size;
    if (client->unacknowledged >= WINDOW_UPDATE_BYTES) {
        uint8_t out[2 * (FRAME_HEADER + 4)], *end = out;
        for (uint32_t stream = 0; stream < 2; stream++)
            end = put_big_endian(put_frame_header(end, 4, WINDOW_UPDATE, 0, stream), client->unacknowledged, 4);
        send_all(client, out, sizeof out);
        client->unacknowledged = 0;
    }
}

static void take_frame(struct client *client, uint8_t type, uint8_t flags, const uint8_t *payload, uint32_t size) {
    uint8_t out[FRAME_HEADER + 8];
    switch (type) {
    case DATA:
        if (flags & PADDED) fail("a DATA frame is padded");
        take_data(client, payload, size);
        break;
    case SETTINGS:
        if (!(flags & ACK)) send_all(client, out, (size_t)(put_frame_header(out, 0, SETTINGS, ACK, 0) - out));
        break;
    case PING:
        if (size != 8) fail("a PING has %u bytes", size);
        if (!(flags & ACK))
            send_all(client, out, (size_t)((uint8_t *)mempcpy(put_frame_header(out, 8, PING, ACK, 0), payload, 8) - out));
        break;
    case HEADERS:
        if (flags & END_STREAM) fail("the server ended a stream");
        break;
    case RST_STREAM:
    case GOAWAY:
        fail("the server sent %s", type == GOAWAY ? "GOAWAY" : "RST_STREAM");
    }
}

static void read_grpc(struct client *client) {
    ssize_t got = recv(client->fd, client->input + client->input_size, INPUT_BYTES - client->input_size, 0);
    if (got <= 0) fail("a connection was closed");
    client->input_size += (uint32_t)got;
    uint32_t at = 0;
    while (client->input_size - at >= FRAME_HEADER) {
        const uint8_t *frame = client->input + at;
        uint32_t size = big_endian(frame, 3);
        if (FRAME_HEADER + size > INPUT_BYTES) fail("a frame of %u bytes is too long", size);
        if (client->input_size - at < FRAME_HEADER + size) break;
        take_frame(client, frame[3], frame[4], frame + FRAME_HEADER, size);
        at += FRAME_HEADER + size;
    }
    client->input_size -= at;
    memmove(client->input, client->input + at, client->input_size);
}
