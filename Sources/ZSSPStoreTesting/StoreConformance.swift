// SPDX-License-Identifier: Apache-2.0

/// One rule for ratchet stores, as a test case that can run on any store. See `RatchetStore` for
/// the contract.
///
/// It depends on no test library: a store that does not pass causes a ``Failure`` that says what
/// was wrong.
public struct StoreConformance: Sendable, CustomStringConvertible {
  /// The rule in a few words.
  public let name: String
  private let body: @Sendable (Trial) async throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (Trial) async throws -> Void) {
    self.name = name
    self.body = body
  }

  /// All rules.
  public static let cases = rowCases + swapCases + revocationCases + concurrencyCases + mediumCases

  /// The name.
  public var description: String { name }

  /// The result of a case that did not fail.
  public enum Outcome: Sendable, Hashable {
    /// The store follows the rule.
    case passed
    /// The rule cannot be tested on this medium, for this reason.
    case passedOver(String)
  }

  /// The error of a store that does not follow a rule, or of a medium that could not be used.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    /// The name of the rule.
    public let rule: String
    /// The expected and the found values. It contains no keys.
    public let reason: String

    /// The rule and the reason.
    public var description: String { "\(rule): \(reason)" }
  }

  /// Tests the rule on a medium, which must be empty.
  ///
  /// - Returns: ``Outcome/passed``, or ``Outcome/passedOver(_:)`` if the medium does not support
  ///   the test.
  /// - Throws: ``Failure`` if the store does not follow the rule, or if the medium cannot be used.
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

/// The error of a broken rule.
struct Broken: Error {
  let reason: String
}

/// The error of a medium that does not support a rule's test.
struct Unfit: Error {
  let reason: String
}
