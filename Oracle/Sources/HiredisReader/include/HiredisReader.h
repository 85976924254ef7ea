// hiredis's incremental reader, with what its versions have differently behind one face. It is given functions of its own that write down
// what was read and allocate nothing, so that an announced length costs nothing either.

#include <stdbool.h>
#include <stddef.h>

typedef struct hiredis_reader hiredis_reader;

/// The version of hiredis: major * 100 + minor.
extern const int hiredis_version;

hiredis_reader *_Nonnull hiredis_reader_create(void);
void hiredis_reader_destroy(hiredis_reader *_Nonnull self);

/// Takes bytes and reads what replies they complete.
void hiredis_reader_feed(hiredis_reader *_Nonnull self, const unsigned char *_Nonnull bytes, size_t length);

/// Whether the bytes were refused.
bool hiredis_reader_refused(const hiredis_reader *_Nonnull self);

/// Why they were refused.
const char *_Nonnull hiredis_reader_error(const hiredis_reader *_Nonnull self);

/// How many replies are complete.
size_t hiredis_reader_replies(const hiredis_reader *_Nonnull self);

/// The complete replies in RESP3, nulls as `_`, errors as `!`, doubles by their bits; valid until the next call.
const unsigned char *_Nonnull hiredis_reader_transcript(const hiredis_reader *_Nonnull self, size_t *_Nonnull length);

/// Bytes taken that belong to a token that is not complete.
size_t hiredis_reader_pending(const hiredis_reader *_Nonnull self);

/// Aggregates that are open.
int hiredis_reader_depth(const hiredis_reader *_Nonnull self);

/// Elements that all aggregates of the unfinished reply have announced.
size_t hiredis_reader_announced(const hiredis_reader *_Nonnull self);
