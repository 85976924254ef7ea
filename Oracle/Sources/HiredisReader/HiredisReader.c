#include "HiredisReader.h"

#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int hiredis_version = HIREDIS_MAJOR * 100 + HIREDIS_MINOR;

struct hiredis_reader {
  redisReader *reader;
  char *transcript;
  size_t used, capacity;
  /// The part of the transcript that is complete replies.
  size_t complete;
  size_t replies, announced;
};

static void *write_bytes(const redisReadTask *task, const char *bytes, size_t length) {
  hiredis_reader *self = task->privdata;
  if (self->capacity - self->used < length) {
    self->capacity = 2 * (self->used + length);
    self->transcript = realloc(self->transcript, self->capacity);
    if (self->transcript == NULL) abort();
  }
  memcpy(self->transcript + self->used, bytes, length);
  self->used += length;
  return self;
}

static void *write_head(const redisReadTask *task, char type, long long value) {
  char line[32];
  int length = snprintf(line, sizeof(line), "%c%lld\r\n", type, value);
  return write_bytes(task, line, (size_t)length);
}

static void *write_string(const redisReadTask *task, char *bytes, size_t length) {
  char type = '$';
  switch (task->type) {
  case REDIS_REPLY_STATUS: type = '+'; break;
  case REDIS_REPLY_ERROR: type = '!'; break;
#if HIREDIS_MAJOR >= 1
  case REDIS_REPLY_BIGNUM: type = '('; break;
  case REDIS_REPLY_VERB:
    type = '=';
    bytes += 4;
    length -= 4;
    break;
#endif
  }
  write_head(task, type, (long long)length);
  write_bytes(task, bytes, length);
  return write_bytes(task, "\r\n", 2);
}

static void *write_array_head(const redisReadTask *task, size_t elements) {
  hiredis_reader *self = task->privdata;
  self->announced += elements;
  char type = '*';
#if HIREDIS_MAJOR >= 1
  switch (task->type) {
  case REDIS_REPLY_MAP: type = '%'; break;
  case REDIS_REPLY_SET: type = '~'; break;
  case REDIS_REPLY_PUSH: type = '>'; break;
  }
#endif
  return write_head(task, type, (long long)elements);
}

static void *write_integer(const redisReadTask *task, long long value) { return write_head(task, ':', value); }

static void *write_nil(const redisReadTask *task) { return write_bytes(task, "_\r\n", 3); }

static void release(void *object) { (void)object; }

#if HIREDIS_MAJOR >= 1
static void *write_double(const redisReadTask *task, double value, char *text, size_t length) {
  (void)text;
  (void)length;
  long long bits;
  memcpy(&bits, &value, sizeof(bits));
  return write_head(task, ',', value != value ? 0x7FF8000000000000 : bits);
}

static void *write_boolean(const redisReadTask *task, int value) { return write_bytes(task, value ? "#t\r\n" : "#f\r\n", 4); }

static redisReplyObjectFunctions functions = {
  write_string, write_array_head, write_integer, write_double, write_nil, write_boolean, release,
};
#else
static void *write_short_array_head(const redisReadTask *task, int elements) { return write_array_head(task, (size_t)elements); }

static redisReplyObjectFunctions functions = {write_string, write_short_array_head, write_integer, write_nil, release};
#endif

hiredis_reader *hiredis_reader_create(void) {
  hiredis_reader *self = calloc(1, sizeof(*self));
  if (self == NULL) abort();
  self->reader = redisReaderCreateWithFunctions(&functions);
  self->capacity = 256;
  self->transcript = malloc(self->capacity);
  if (self->reader == NULL || self->transcript == NULL) abort();
  self->reader->privdata = self;
  return self;
}

void hiredis_reader_destroy(hiredis_reader *self) {
  redisReaderFree(self->reader);
  free(self->transcript);
  free(self);
}

void hiredis_reader_feed(hiredis_reader *self, const unsigned char *bytes, size_t length) {
  redisReaderFeed(self->reader, (const char *)bytes, length);
  void *reply;
  while (redisReaderGetReply(self->reader, &reply) == REDIS_OK && reply != NULL) {
    self->complete = self->used;
    self->announced = 0;
    self->replies++;
  }
}

bool hiredis_reader_refused(const hiredis_reader *self) { return self->reader->err != 0; }

const char *hiredis_reader_error(const hiredis_reader *self) { return self->reader->errstr; }

size_t hiredis_reader_replies(const hiredis_reader *self) { return self->replies; }

const unsigned char *hiredis_reader_transcript(const hiredis_reader *self, size_t *length) {
  *length = self->complete;
  return (const unsigned char *)self->transcript;
}

static int task_type(const redisReader *reader) {
#if HIREDIS_MAJOR >= 1
  return reader->task[reader->ridx]->type;
#else
  return reader->rstack[reader->ridx].type;
#endif
}

size_t hiredis_reader_pending(const hiredis_reader *self) {
  const redisReader *reader = self->reader;
  // The type's byte is behind the reader's position once it is known.
  return reader->len - reader->pos + (reader->ridx >= 0 && task_type(reader) >= 0 ? 1 : 0);
}

int hiredis_reader_depth(const hiredis_reader *self) { return self->reader->ridx < 0 ? 0 : self->reader->ridx; }

size_t hiredis_reader_announced(const hiredis_reader *self) { return self->announced; }
