import ParallaxAPI

/// The values of a key as a JSON type, for the schema of the configuration.
indirect enum ValueShape: Sendable, Equatable {
  case truth
  case number(ClosedRange<Int>)
  case numberOrOff(ClosedRange<Int>)
  /// A number of bytes, with or without a unit.
  case size(ClosedRange<Int>)
  case sizeOrOff(ClosedRange<Int>)
  case duration
  case text
  case choice([String])
  /// A choice whose value `off` may be written as `false`.
  case choiceWithOff([String])
  /// A list, or a text whose elements are separated by commas.
  case list(of: ValueShape)
  /// Names of scopes, as a list or separated by commas.
  case scopes
  /// A list of sections; `alsoText` if a text can stand for all of them.
  case sections([String: ValueShape], required: [String], alsoText: Bool)

  /// The JSON Schema of the values.
  ///
  /// In place of any value but a section may stand a reference, `${NAME}` or `file:PATH`, whose target the schema cannot check.
  var schema: JSONValue {
    switch self {
    case .text: ["type": "string"]
    case .truth: Self.orReference([["type": "boolean"]])
    case .number(let bounds): Self.orReference([Self.integer(bounds)])
    case .numberOrOff(let bounds): Self.orReference([Self.integer(bounds), ["enum": ["off", false]]])
    case .size(let bounds): Self.orReference(Self.size(bounds))
    case .sizeOrOff(let bounds): Self.orReference(Self.size(bounds) + [["enum": ["off", false]]])
    case .duration:
      Self.orReference([
        ["type": "string", "minLength": 2, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"]
      ])
    case .choice(let names): Self.orReference([["enum": .array(names.map(JSONValue.string))]])
    case .choiceWithOff(let names): Self.orReference([["enum": .array(names.map(JSONValue.string) + [false])]])
    case .list(let element): ["anyOf": [["type": "array", "items": element.schema], ["type": "string"]]]
    case .scopes: Self.list(of: ["enum": .array(AccessScope.allCases.map { .string($0.rawValue) })])
    case .sections(let members, let required, let alsoText):
      Self.sections(members, required, alternatives: alsoText ? [["type": "string"]] : [])
    }
  }

  private static func integer(_ bounds: ClosedRange<Int>) -> JSONValue {
    ["type": "integer", "minimum": .integer(Int64(bounds.lowerBound)), "maximum": .integer(Int64(bounds.upperBound))]
  }

  private static func size(_ bounds: ClosedRange<Int>) -> [JSONValue] {
    [integer(bounds), ["type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"]]
  }

  private static func list(of element: JSONValue) -> JSONValue {
    ["anyOf": [["type": "array", "items": element, "minItems": 1], ["type": "string"]]]
  }

  private static func sections(_ members: [String: ValueShape], _ required: [String], alternatives: [JSONValue]) -> JSONValue {
    let section: JSONValue = [
      "type": "object", "properties": .object(members.mapValues(\.schema)), "required": .array(required.map(JSONValue.string)),
      "additionalProperties": false,
    ]
    return ["anyOf": .array([["type": "array", "items": section]] + alternatives)]
  }

  private static func orReference(_ schemas: [JSONValue]) -> JSONValue {
    ["anyOf": .array(schemas + [["$ref": "#/$defs/reference"]])]
  }

  /// The schema of a reference.
  static let reference: JSONValue = ["type": "string", "pattern": "^file:.|\\$\\{[^}]+\\}"]
}
