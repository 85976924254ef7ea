/// A chunked body that grew beyond the limit while nobody was reading it, or faster than its reader counted.
struct RequestBodyTooLarge: Error {}
