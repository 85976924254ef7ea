#include "CHiredis.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

/* The version 1 of hiredis counts elements in another type. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct value_reader {
  redisReader *reader;
  struct hiredis_callbacks callbacks;
  void *context;
};

/* hiredis wants an object for each value; the program keeps its values itself. */
static char object;

static struct value_reader *owner(const redisReadTask *task) { return task->privdata; }

static void *create_string(const redisReadTask *task, char *bytes, size_t length) {
  struct value_reader *reader = owner(task);
  reader->callbacks.string(reader->context, task->type == REDIS_REPLY_STATUS, bytes, length);
  return &object;
}

static void *create_array(const redisReadTask *task, element_count count) {
  struct value_reader *reader = owner(task);
  reader->callbacks.array(reader->context, (size_t)count);
  return &object;
}

static void *create_integer(const redisReadTask *task, long long value) {
  struct value_reader *reader = owner(task);
  reader->callbacks.integer(reader->context, value);
  return &object;
}

static void *create_null(const redisReadTask *task) {
  struct value_reader *reader = owner(task);
  reader->callbacks.null(reader->context);
  return &object;
}

static void free_object(void *unused) { (void)unused; }

static redisReplyObjectFunctions functions = {
  .createString = create_string,
  .createArray = create_array,
  .createInteger = create_integer,
  .createNil = create_null,
  .freeObject = free_object,
};

void *hiredis_object_reader(void) {
  struct value_reader *reader = calloc(1, sizeof *reader);
  reader->reader = redisReaderCreate();
  return reader;
}

void *hiredis_value_reader(const struct hiredis_callbacks *callbacks, void *context) {
  struct value_reader *reader = calloc(1, sizeof *reader);
  reader->reader = redisReaderCreateWithFunctions(&functions);
  reader->reader->privdata = reader;
  reader->callbacks = *callbacks;
  reader->context = context;
  return reader;
}

void hiredis_free_reader(void *reader) {
  redisReaderFree(((struct value_reader *)reader)->reader);
  free(reader);
}

static long read_replies(redisReader *reader, const void *bytes, size_t length, void (*release)(void *)) {
  if (redisReaderFeed(reader, bytes, length) != REDIS_OK) return -1;
  for (long replies = 0;; replies++) {
    void *reply = NULL;
    if (redisReaderGetReply(reader, &reply) != REDIS_OK) return -1;
    if (!reply) return replies;
    release(reply);
  }
}

long hiredis_read_objects(void *reader, const void *bytes, size_t length) {
  return read_replies(((struct value_reader *)reader)->reader, bytes, length, freeReplyObject);
}

long hiredis_read_values(void *reader, const void *bytes, size_t length) {
  return read_replies(((struct value_reader *)reader)->reader, bytes, length, free_object);
}
