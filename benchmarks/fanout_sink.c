/* Reads the streams of many clients, so that the receiver is never what a fan-out is measured by.

   fanout_sink PORT CLIENTS TICKS [frames] [websocket | session]

   One TCP connection a client to 127.0.0.1, all read by one epoll loop. It speaks as much HTTP/2 and gRPC as a server
   needs to stream (fanout_grpc.h); with `websocket` as much of a WebSocket, and with `session` it also opens a session
   there and acknowledges every message (fanout_websocket.h). Nothing here knows the protocol.

   Each tick carries a mark of 24 bytes: MARK, tick number, wall clock at which the tick was made (little-endian). A
   message may stand for several ticks and then carries several marks. With `frames` the messages are those of a real
   server, which have no marks: they are read as Frames, and a tick was made when its chunks were encoded. When every
   client is joined and has seen WARM_UP_TICKS more, "begin" is printed; when every client has the next TICKS ticks, one
   line of JSON. Between the two lie whole bursts, so the caller may read the server's CPU clock at either line. Exit
   status 1: something went wrong. */

#define _GNU_SOURCE
#include "fanout_client.h"
#include "fanout_frames.h"
#include "fanout_grpc.h"
#include "fanout_websocket.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
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
    MARK_BYTES = 24,
    WARM_UP_TICKS = 3,
    IDLE_LIMIT_MS = 10000,
};

static const char MARK[8] = {'T', 'I', 'C', 'K', 'M', 'A', 'R', 'K'};

static struct client *clients;
static long client_count;
static int reads_frames, is_websocket;
static uint64_t window_ticks, first_tick, last_tick; /* the window is (first_tick, last_tick]; 0 = not yet known */
static uint64_t messages, bytes, delivered, conflated, missed, repeated;
static uint32_t *latencies_us;
static size_t latency_count, latency_room;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void connect_client(struct client *client, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (is_websocket ? ask_for_websocket : open_grpc)(client, port);
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

static void take_option(const char *option) {
    if (!strcmp(option, "frames")) {
        reads_frames = 1;
    } else if (!strcmp(option, "websocket") || !strcmp(option, "session")) {
        is_websocket = 1;
        is_session = *option == 's';
    } else {
        fail("option '%s' is unknown; use frames, websocket or session", option);
    }
}

int main(int argument_count, char **arguments) {
    if (argument_count < 4) fail("usage: fanout_sink PORT CLIENTS TICKS [frames] [websocket | session]");
    for (int i = 4; i < argument_count; i++) take_option(arguments[i]);
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
        for (int i = 0; i < count; i++) (is_websocket ? read_websocket : read_grpc)(events[i].data.ptr);
    }
    print_result();
    return 0;
}
