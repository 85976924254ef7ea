/// The names that a node and its witness share.
package enum WitnessChannel {
  /// The variable with the number of the descriptor on which a node talks to the witness around it.
  package static let variable = "PARALLAX_WITNESS_DESCRIPTOR"
  /// The executable of the witness, which stands beside that of the node.
  package static let executable = "parallax-witness"
}
