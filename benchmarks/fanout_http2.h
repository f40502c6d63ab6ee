/* As much of HTTP/2 as asks for a stream: frames, their numbers, and fields of headers. */

#include <stdint.h>
#include <string.h>

enum { FRAME_HEADER = 9 };
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

static uint32_t big_endian(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    while (count--) value = value << 8 | *bytes++;
    return value;
}

static uint8_t *put_big_endian(uint8_t *out, uint32_t value, int count) {
    for (int i = 0; i < count; i++) out[i] = (uint8_t)(value >> 8 * (count - 1 - i));
    return out + count;
}

static uint8_t *put_frame_header(uint8_t *out, uint32_t size, uint8_t type, uint8_t flags, uint32_t stream) {
    out = put_big_endian(out, size, 3);
    *out++ = type;
    *out++ = flags;
    return put_big_endian(out, stream, 4);
}

/* HPACK: literal field, never added to a table, no Huffman code. */
static uint8_t *put_field(uint8_t *out, const char *name, const char *value) {
    *out++ = 0;
    *out++ = (uint8_t)strlen(name);
    out = (uint8_t *)stpcpy((char *)out, name);
    *out++ = (uint8_t)strlen(value);
    return (uint8_t *)stpcpy((char *)out, value);
}
