// The table as a page for people.
#include <fmt/format.h>

#include "apps/config/load.h"
#include "apps/config/table.h"

namespace affuse {
namespace {

constexpr std::string_view kHead = R"(# Configuration

A configuration is a JSON file with `//` and `/* */` comments. `affuse train CONFIG --print-config`
prints every key with the value that it ends up with. A key that does not stand here, a key given
twice, a value of the wrong type (`1.0` is no integer) or out of range is refused with file, line
and path.

Overrides follow the file on the command line as `key.path=value`; the value is JSON, a bare word a
string, the last one wins:

```
affuse train configs/quickstart.json train.epochs=3 label_model.kind=noise_aware 'augment.scale=[1.0, 1.1]'
```

The commands that take a configuration stand in [commands.md](commands.md). Paths are relative to the
folder that affuse is started in. A top-level `"$schema"` names
[config.schema.json](config.schema.json) for editors that complete and check JSON.

This page is made by `affuse --config-reference` from the table that the parser uses.
)";

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string_view section_of(std::string_view path) { return path.substr(0, path.rfind('.')); }
std::string_view key_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

}  // namespace

std::string config_reference() {
  const Config defaults;
  std::string page(kHead);
  for (const ConfigSection& section : config_sections()) {
    page +=
        fmt::format("\n## {}\n\n{}\n\n| key | default | values | meaning |\n|---|---|---|---|\n",
                    section.path, section.help);
    for (const ConfigRow& row : config_rows()) {
      if (section_of(row.path) != section.path) continue;
      page += fmt::format("| `{}` | `{}` | {} | {} |\n", key_of(row.path), row.json(defaults),
                          cell(describe_values(row)), cell(row.help));
    }
  }
  return page;
}

}  // namespace affuse
