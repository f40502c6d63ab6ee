/* Reads the streams of many clients, so that the receiver is never what a fan-out is measured by.

   fanout_sink PORT CLIENTS TICKS [frames]

   One TCP connection a client to 127.0.0.1, all read by one epoll loop. It speaks as much HTTP/2 and gRPC as a server
   needs to stream: preface, SETTINGS, one HEADERS frame of literal fields, WINDOW_UPDATE, answers to SETTINGS and PING.
   Another door of the server needs another open_stream() and another read_frames(); the rest does not know the protocol.

   Each tick carries a mark of 24 bytes: MARK, tick number, wall clock at which the tick was made (little-endian). A
   message may stand for several ticks and then carries several marks. With `frames` the messages are those of a real
   server, which have no marks: they are read as Frames, and a tick was made when its chunks were encoded. When every client is joined and has seen
   WARM_UP_TICKS more, "begin" is printed; when every client has the next TICKS ticks, one line of JSON. Between the two
   lie whole bursts, so the caller may read the server's CPU clock at either line. Exit status 1: something went wrong. */

#define _GNU_SOURCE
#include "fanout_frames.h"
#include "fanout_http2.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_HEADER = 5,
    MARK_BYTES = 24,
    WARM_UP_TICKS = 3,
    IDLE_LIMIT_MS = 10000,
    INPUT_BYTES = 1 << 16,           /* more than the largest frame a server may send unasked, 16,384 + 9 */
    WINDOW_BYTES = 1 << 20,
    WINDOW_UPDATE_BYTES = 1 << 18,   /* told in steps, as clients do, not with each frame */
    MAX_MESSAGE_BYTES = 4 << 20,
};

static const char MARK[8] = {'T', 'I', 'C', 'K', 'M', 'A', 'R', 'K'};

struct client {
    int fd;
    uint32_t input_size, unacknowledged;
    uint8_t input[INPUT_BYTES];
    uint8_t *message;                /* gRPC messages joined from DATA frames */
    size_t message_size, message_room;
    uint64_t newest;                 /* tick; 0 = none yet */
    uint64_t encoded_ns;             /* of the message in fragments that is under way */
};

static struct client *clients;
static long client_count;
static int reads_frames;
static uint64_t window_ticks, first_tick, last_tick; /* the window is (first_tick, last_tick]; 0 = not yet known */
static uint64_t messages, bytes, delivered, conflated, missed, repeated;
static uint32_t *latencies_us;
static size_t latency_count, latency_room;

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

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void send_all(struct client *client, const uint8_t *data, size_t size) {
    if (send(client->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) fail("a send of %zu bytes failed", size);
}

static void open_stream(struct client *client, int port) {
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

static void connect_client(struct client *client, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    open_stream(client, port);
}

static void note_latency(int64_t made_ns, int64_t now) {
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 4096;
        latencies_us = room(latencies_us, latency_room * sizeof *latencies_us);
    }
    latencies_us[latency_count++] = now > made_ns ? (uint32_t)((now - made_ns) / 1000) : 0;
}

/* What one message holds of the window. */
struct content {
    uint64_t ticks, oldest_ns;       /* oldest_ns: what has waited longest in this message */
};

static void take_tick(struct client *client, uint64_t tick, uint64_t made_ns, struct content *content) {
    int is_inside = first_tick && tick > first_tick && tick <= last_tick;
    if (client->newest && tick <= client->newest) {
        repeated++;
        return;
    }
    if (is_inside) {
        uint64_t before = client->newest > first_tick ? client->newest : first_tick;
        missed += tick - before - 1;
        if (!content->ticks++) content->oldest_ns = made_ns;
    } else if (first_tick && client->newest && client->newest < last_tick && tick > last_tick) {
        missed += last_tick - (client->newest > first_tick ? client->newest : first_tick);
    }
    client->newest = tick;
}

static void take_marks(struct client *client, const uint8_t *message, size_t size, struct content *content) {
    const uint8_t *end = message + size, *mark = message;
    while ((mark = memmem(mark, (size_t)(end - mark), MARK, sizeof MARK)) && end - mark >= MARK_BYTES) {
        uint64_t tick, made_ns;
        memcpy(&tick, mark + 8, 8);
        memcpy(&made_ns, mark + 16, 8);
        mark += MARK_BYTES;
        take_tick(client, tick, made_ns, content);
    }
}

static void take_real_frame(struct client *client, const uint8_t *message, size_t size, struct content *content) {
    struct frame frame = {0};
    if (!read_frame(message, message + size, &frame)) fail("a message of %zu bytes is no Frame", size);
    if (frame.encoded_ns) client->encoded_ns = frame.encoded_ns;
    if (!frame.is_complete) return;
    for (uint64_t tick = frame.tick - frame.ticks_conflated; tick <= frame.tick; tick++)
        take_tick(client, tick, client->encoded_ns, content);
}

static void take_message(struct client *client, const uint8_t *message, size_t size) {
    int64_t now = now_ns();
    struct content content = {0};
    (reads_frames ? take_real_frame : take_marks)(client, message, size, &content);
    if (content.ticks) {
        messages++;
        bytes += size;
        delivered += content.ticks;
        conflated += content.ticks - 1;
        note_latency((int64_t)content.oldest_ns, now);
    }
}

static void take_data(struct client *client, const uint8_t *data, uint32_t size) {
    if (client->message_size + size > client->message_room) {
        client->message_room = 2 * (client->message_size + size);
        client->message = room(client->message, client->message_room);
    }
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
    client->message_size -= at;
    memmove(client->message, client->message + at, client->message_size);
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

static void read_frames(struct client *client) {
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

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double latency_ms(double share) {
    size_t index = (size_t)(share * (double)latency_count);
    if (index >= latency_count) index = latency_count - 1;
    return latency_count ? latencies_us[index] / 1000.0 : 0;
}

static void print_result(void) {
    qsort(latencies_us, latency_count, sizeof *latencies_us, compare);
    printf("{\"clients\": %ld, \"ticks\": %lu, \"messages\": %lu, \"bytes\": %lu, \"delivered\": %lu, \"conflated\": %lu,"
           " \"missed\": %lu, \"repeated\": %lu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
           client_count, window_ticks, messages, bytes, delivered, conflated, missed, repeated, latency_ms(0.5),
           latency_ms(0.99), latency_ms(1));
}

/* Moves on to the window and to the end; returns whether that is reached. */
static int is_over(void) {
    uint64_t slowest = UINT64_MAX, fastest = 0;
    for (long i = 0; i < client_count; i++) {
        slowest = clients[i].newest < slowest ? clients[i].newest : slowest;
        fastest = clients[i].newest > fastest ? clients[i].newest : fastest;
    }
    static uint64_t joined_tick;
    if (!joined_tick && slowest) joined_tick = fastest;
    if (joined_tick && !first_tick && slowest >= joined_tick + WARM_UP_TICKS && slowest == fastest) {
        first_tick = slowest;
        last_tick = first_tick + window_ticks;
        puts("begin");
        fflush(stdout);
    }
    return first_tick && slowest >= last_tick;
}

int main(int argument_count, char **arguments) {
    reads_frames = argument_count == 5 && !strcmp(arguments[4], "frames");
    if (argument_count != 4 + reads_frames) fail("usage: fanout_sink PORT CLIENTS TICKS [frames]");
    int port = atoi(arguments[1]);
    client_count = atol(arguments[2]);
    window_ticks = strtoull(arguments[3], NULL, 10);
    if (port < 1 || client_count < 1 || window_ticks < 1) fail("port, clients and ticks are 1 or more");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    clients = calloc((size_t)client_count, sizeof *clients);
    int poll = epoll_create1(0);
    if (!clients || poll < 0) fail("no memory");
    for (long i = 0; i < client_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        connect_client(&clients[i], port);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &event)) fail("epoll refuses a connection");
    }
    struct epoll_event events[256];
    while (!is_over()) {
        int count = epoll_wait(poll, events, 256, IDLE_LIMIT_MS);
        if (count < 1) fail("nothing came for %d ms", IDLE_LIMIT_MS);
        for (int i = 0; i < count; i++) read_frames(events[i].data.ptr);
    }
    print_result();
    return 0;
}
