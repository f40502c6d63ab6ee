/* As much of proto/liqscape/v1/stream.proto as tells which tick a Frame leads to and when that was encoded. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct frame {
    uint64_t tick, ticks_conflated, is_complete, encoded_ns; /* 0 where the frame does not say */
};

struct field {
    uint64_t number, value;                                  /* value: a number, or the length of what begins at data */
    const uint8_t *data;
};

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2 };
enum { FRAME_SECTIONS = 1, FRAME_TICKS_CONFLATED = 2 };
enum { SECTION_TICK = 3, SECTION_COMPLETE = 4, SECTION_CHUNKS = 5, CHUNK_SYMBOL = 2, SYMBOL_CHUNKS_ENCODED_UNIX_NS = 8 };

/* Returns what follows, or NULL where the bytes end too early. */
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80)) return at;
    }
    return NULL;
}

static const uint8_t *read_field(const uint8_t *at, const uint8_t *end, struct field *field) {
    uint64_t tag;
    if (!(at = read_varint(at, end, &tag))) return NULL;
    field->number = tag >> 3;
    switch (tag & 7) {
    case VARINT:
        return read_varint(at, end, &field->value);
    case FIXED64:
        if (end - at < 8) return NULL;
        memcpy(&field->value, at, 8);                        /* little-endian, as this machine is */
        return at + 8;
    case LENGTH:
        if (!(at = read_varint(at, end, &field->value)) || (uint64_t)(end - at) < field->value) return NULL;
        field->data = at;
        return at + field->value;
    }
    return NULL;
}

static int read_symbol(const uint8_t *at, const uint8_t *end, struct frame *frame) {
    struct field field;
    while (at && at < end)
        if ((at = read_field(at, end, &field)) && field.number == SYMBOL_CHUNKS_ENCODED_UNIX_NS)
            frame->encoded_ns = field.value;
    return at != NULL;
}

static int read_chunk(const uint8_t *at, const uint8_t *end, struct frame *frame) {
    struct field field;
    while (at && at < end)
        if ((at = read_field(at, end, &field)) && field.number == CHUNK_SYMBOL)
            if (!read_symbol(field.data, field.data + field.value, frame)) return 0;
    return at != NULL;
}

static int read_section(const uint8_t *at, const uint8_t *end, struct frame *frame) {
    struct field field;
    while (at && at < end) {
        if (!(at = read_field(at, end, &field))) return 0;
        if (field.number == SECTION_TICK) frame->tick = field.value;
        if (field.number == SECTION_COMPLETE) frame->is_complete = field.value;
        if (field.number == SECTION_CHUNKS && !read_chunk(field.data, field.data + field.value, frame)) return 0;
    }
    return 1;
}

/* Returns whether the bytes are a Frame. */
static int read_frame(const uint8_t *at, const uint8_t *end, struct frame *frame) {
    struct field field;
    while (at && at < end) {
        if (!(at = read_field(at, end, &field))) return 0;
        if (field.number == FRAME_TICKS_CONFLATED) frame->ticks_conflated = field.value;
        if (field.number == FRAME_SECTIONS && !read_section(field.data, field.data + field.value, frame)) return 0;
    }
    return 1;
}
