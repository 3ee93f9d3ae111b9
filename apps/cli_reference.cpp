// The table of commands as a page for people.
#include <fmt/format.h>

#include "apps/cli_commands.h"
#include "apps/cli_documents.h"

namespace affuse {
namespace {

constexpr std::string_view kHead = R"(# Commands

Results go to stdout, progress and log lines to stderr: on a terminal a bar that is redrawn,
otherwise a plain line every ten seconds. `NO_COLOR` (set to anything) turns colours off,
`TERM=dumb` the bar too, `--quiet` leaves warnings and errors only. `--json` prints JSON that
carries `"schema": 1`; a value that is not defined is `null`.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed while running: data, weights, device, disk; also where stdout could not be written |
| 2 | unusable arguments or configuration; nothing was begun |
| 128 + n | stopped by signal n (130: Ctrl-C), after a checkpoint; a second signal leaves at once |

An error is one line on stderr that begins with `affuse: `, names the place and says what to do.
`CONFIG` is a JSON file, and `key.path=value` overrides one of its keys: [config.md](config.md).

`affuse help COMMAND` prints what stands here. For completion in Bash:
`source <(affuse --completion bash)`.

This page is made by `affuse --commands-reference` from the table that the parser uses.
)";

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

std::string name_cell(const CliArgument& a) {
  std::string name = a.name;
  if (!a.value.empty() && a.value != a.name) name += " " + a.value;
  return "`" + cell(name) + (a.repeated ? " ..." : "") + "`";
}

/// Rows of the arguments that are options, or of those that are not; empty without any.
std::string table_of(const std::vector<CliArgument>& arguments, bool options) {
  std::string rows;
  for (const CliArgument& a : arguments) {
    if (a.is_option() != options || a.name == "--help") continue;
    const std::string standard = a.required                ? "required"
                                 : a.default_value.empty() ? ""
                                                           : "`" + a.default_value + "`";
    rows += fmt::format("| {} | {} | {} |\n", name_cell(a), standard, cell(a.help));
  }
  if (rows.empty()) return rows;
  return fmt::format("\n| {} | default | meaning |\n|---|---|---|\n{}",
                     options ? "option" : "argument", rows);
}

/// `text` with `indent` and the program's name before each line.
std::string usage_lines(std::string_view text, const char* name) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    out += fmt::format("affuse {} {}\n", name, line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return out;
}

/// Examples without the indentation that they have in --help.
std::string example_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    out += fmt::format("{}\n", line.substr(std::min(line.size(), line.find_first_not_of(' '))));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return out;
}

std::string section(const CliCommand& row) {
  const std::vector<CliArgument> arguments = arguments_of(row);
  std::string out = fmt::format("\n## affuse {}\n\n{}\n\n```\n{}```\n", row.name, row.help,
                                usage_lines(row.usage, row.name));
  out += table_of(arguments, false) + table_of(arguments, true);
  out += fmt::format("\n- Prints: {}\n- Writes: {}\n", row.prints, row.writes);
  if (*row.status != '\0') out += fmt::format("- Exit status: {}\n", row.status);
  return out + fmt::format("\n```\n{}```\n", example_lines(row.examples));
}

std::string top_section() {
  std::string out = "\n## affuse\n\n| option | prints |\n|---|---|\n";
  for (const CliTopOption& row : cli_top_options())
    out += fmt::format("| `{}{}{}` | {} |\n", row.name, *row.value == '\0' ? "" : " ", row.value,
                       row.help);
  return out;
}

}  // namespace

std::string commands_reference() {
  std::string page(kHead);
  for (const CliCommand& row : cli_commands()) page += section(row);
  return page + top_section();
}

}  // namespace affuse
