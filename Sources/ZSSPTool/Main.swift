// SPDX-License-Identifier: Apache-2.0
import ZSSPCommand

@main
enum Main {
  static func main() { CommandLineTool.run() }
}
