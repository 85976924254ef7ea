import CParallaxZlib
import NIOCore

/// The memory that zlib takes, counted, and limited: an allocation beyond the limit fails.
final class ZlibMemory {
  private static let headerSize = 16

  let limit: Int
  /// The bytes in use.
  private(set) var bytes = 0

  init(limit: Int) {
    self.limit = limit
  }

  fileprivate func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
    let size = count + Self.headerSize
    guard size <= limit - bytes else { return nil }
    let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: Self.headerSize)
    block.storeBytes(of: size, as: Int.self)
    bytes += size
    return block + Self.headerSize
  }

  fileprivate func free(_ address: UnsafeMutableRawPointer) {
    let block = address - Self.headerSize
    bytes -= block.load(as: Int.self)
    block.deallocate()
  }
}

/// A stream of zlib for raw DEFLATE (RFC 1951), at one address, to which zlib holds it.
final class ZlibStream {
  enum Kind: Equatable {
    case inflate
    case deflate(level: Int32, windowBits: Int32)
  }

  /// The largest window, 32 KiB, as the exponent of two: it reads what was written for any smaller one too.
  static let maxWindowBits: Int32 = 15
  /// zlib's default, which takes 128 KiB beside the window.
  private static let memoryLevel: Int32 = 8

  let kind: Kind
  let state: UnsafeMutablePointer<z_stream>
  private let memory: ZlibMemory

  /// Nil if the memory does not suffice.
  init?(_ kind: Kind, memory: ZlibMemory) {
    self.kind = kind
    self.memory = memory
    state = .allocate(capacity: 1)
    state.initialize(to: z_stream())
    state.pointee.opaque = Unmanaged.passUnretained(memory).toOpaque()
    state.pointee.zalloc = { memory, items, size in
      memory.map { Unmanaged<ZlibMemory>.fromOpaque($0).takeUnretainedValue() }?.allocate(Int(items) * Int(size))
    }
    state.pointee.zfree = { memory, address in
      if let memory, let address { Unmanaged<ZlibMemory>.fromOpaque(memory).takeUnretainedValue().free(address) }
    }
    let size = Int32(MemoryLayout<z_stream>.size)
    // A negative exponent stands for raw DEFLATE, without the header and checksum of zlib's own format.
    let status =
      switch kind {
      case .inflate: inflateInit2_(state, -Self.maxWindowBits, ZLIB_VERSION, size)
      case .deflate(let level, let windowBits):
        deflateInit2_(state, level, Z_DEFLATED, -windowBits, Self.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
      }
    // `deinit` follows a failure too, and zlib accepts the end of a stream that it did not begin.
    guard status == Z_OK else { return nil }
  }

  deinit {
    switch kind {
    case .inflate: inflateEnd(state)
    case .deflate: deflateEnd(state)
    }
    state.deallocate()
  }

  /// Begins anew, without what was read or written before.
  func reset() {
    switch kind {
    case .inflate: inflateReset(state)
    case .deflate: deflateReset(state)
    }
  }
}
