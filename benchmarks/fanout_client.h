/* A connection of the receiver, and what both protocols need of it. */

#ifndef FANOUT_CLIENT_H
#define FANOUT_CLIENT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

enum {
    INPUT_BYTES = 1 << 16,           /* more than the largest HTTP/2 frame a server may send unasked, 16,384 + 9 */
    MAX_MESSAGE_BYTES = 4 << 20,
};

struct client {
    int fd;
    uint32_t input_size, unacknowledged;
    uint8_t input[INPUT_BYTES];
    uint8_t *message;                /* gRPC: messages joined from DATA frames; WebSocket: what has come */
    size_t message_size, message_room;
    uint64_t newest;                 /* tick; 0 = none yet */
    uint64_t encoded_ns;             /* of the message in fragments that is under way */
    uint64_t messages;               /* WebSocket: of every kind, with those outside the window */
    int is_open;                     /* WebSocket: the server has switched protocols */
};

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void *room(void *block, size_t size) {
    block = realloc(block, size);
    if (!block) fail("no memory");
    return block;
}

static void send_all(struct client *client, const uint8_t *data, size_t size) {
    if (send(client->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) fail("a send of %zu bytes failed", size);
}

/* Makes room for more behind what there is of a message. */
static void make_room(struct client *client, size_t more) {
    if (client->message_size + more <= client->message_room) return;
    client->message_room = 2 * (client->message_size + more);
    client->message = room(client->message, client->message_room);
}

/* Drops what has been read of the joined bytes. */
static void drop(struct client *client, size_t size) {
    client->message_size -= size;
    memmove(client->message, client->message + size, client->message_size);
}

/* Counts a whole message; see fanout_sink.c. */
static void take_message(struct client *client, const uint8_t *message, size_t size);

#endif
