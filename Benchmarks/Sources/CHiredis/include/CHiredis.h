#include <stddef.h>

/* What a program makes of what hiredis reads; each gets the context. */
struct hiredis_callbacks {
  void (*string)(void *context, int is_status, const char *bytes, size_t length);
  void (*integer)(void *context, long long value);
  void (*null)(void *context);
  void (*array)(void *context, size_t count);
};

/* Reads replies with hiredis's own reply objects and frees them; how many, or -1 for bytes that are none. */
long hiredis_read_objects(void *reader, const void *bytes, size_t length);

/* Reads replies and tells the reader's callbacks of them; how many, or -1 for bytes that are none. */
long hiredis_read_values(void *reader, const void *bytes, size_t length);

void *hiredis_object_reader(void);
void *hiredis_value_reader(const struct hiredis_callbacks *callbacks, void *context);
void hiredis_free_reader(void *reader);
