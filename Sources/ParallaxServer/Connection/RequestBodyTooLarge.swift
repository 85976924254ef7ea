/// A chunked request body exceeded the limit.
struct RequestBodyTooLarge: Error {}
