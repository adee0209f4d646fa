// SPDX-License-Identifier: Apache-2.0

/// One rule that every ratchet store must keep, as a case that can be run on any. See `RatchetStore` for the contract.
///
/// Depends on no test library: a case that a store does not pass throws a ``Failure`` that says what was wrong.
public struct StoreConformance: Sendable, CustomStringConvertible {
  /// What the rule says, in a few words.
  public let name: String
  private let body: @Sendable (Trial) async throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (Trial) async throws -> Void) {
    (self.name, self.body) = (name, body)
  }

  /// All rules.
  public static let cases = rowCases + swapCases + revocationCases + concurrencyCases + mediumCases

  /// The name.
  public var description: String { name }

  /// What came of a case that was not failed.
  public enum Outcome: Sendable, Hashable {
    /// The store keeps the rule.
    case passed
    /// The rule cannot be tried on this medium.
    case passedOver(String)
  }

  /// A store that does not keep a rule, or a medium that could not be used.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    /// Which rule it is.
    public let rule: String
    /// What was expected and what was found. Contains no keys.
    public let reason: String

    /// The rule and the reason.
    public var description: String { "\(rule): \(reason)" }
  }

  /// Tries the rule on a medium, which must be empty.
  ///
  /// - Throws: ``Failure`` if the store does not keep the rule.
  @discardableResult
  public func run(on medium: some StoreMedium) async throws(Failure) -> Outcome {
    do {
      let trial = Trial(medium, store: try await medium.open())
      do {
        try await body(trial)
      } catch {
        try await trial.close()
        throw error
      }
      try await trial.close()
      return .passed
    } catch let unfit as Unfit {
      return .passedOver(unfit.reason)
    } catch let broken as Broken {
      throw Failure(rule: name, reason: broken.reason)
    } catch {
      throw Failure(rule: name, reason: "the medium could not be used: \(error)")
    }
  }
}

/// The rule is not kept.
struct Broken: Error {
  let reason: String
}

/// The medium is not made for the rule.
struct Unfit: Error {
  let reason: String
}
