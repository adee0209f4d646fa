// SPDX-License-Identifier: Apache-2.0
import Testing

/// Says aloud, in the report of the run, that something could not be tested on this machine.
func isNotTested(_ what: Comment, sourceLocation: SourceLocation = #_sourceLocation) {
  withKnownIssue(what, sourceLocation: sourceLocation) { Issue.record("not tested") }
}
