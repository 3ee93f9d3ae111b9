// Completion for Bash: what the tables hold as case statements, and a body that reads them.
#include <fmt/format.h>

#include "apps/cli_commands.h"
#include "apps/cli_documents.h"
#include "apps/config/table.h"

namespace affuse {
namespace {

constexpr std::string_view kHead =
    R"(# Completion for affuse in Bash, made by `affuse --completion bash`.
# Use: source <(affuse --completion bash)

)";

// Kinds are what --help shows: words (val|train) or names in capitals, which _affuse_fill knows.
constexpr std::string_view kBody = R"BASH(
_affuse_runs() {
  local file
  for file in runs/*/config.json "$1"*/config.json; do
    if [[ -f $file && $file == "$1"* ]]; then printf '%s\n' "${file%/config.json}"; fi
  done
}

# _affuse_add FUNCTION_OR_BUILTIN ARGUMENTS: appends what it prints to COMPREPLY.
_affuse_add() {
  local -a more=()
  mapfile -t more < <("$@")
  COMPREPLY+=("${more[@]}")
}

_affuse_add_files() {
  compopt -o filenames 2>/dev/null
  _affuse_add compgen -f -X "!$1" -- "$2"
}

_affuse_add_folders() {
  compopt -o filenames 2>/dev/null
  _affuse_add compgen -d -- "$1"
}

_affuse_add_keys() {
  compopt -o nospace 2>/dev/null
  _affuse_add compgen -W "$_affuse_keys" -- "$1"
}

# _affuse_fill KIND WORD: what begins with WORD and is of that kind.
_affuse_fill() {
  local kind word=$2
  local -a kinds=()
  IFS='|' read -ra kinds <<<"$1"
  for kind in "${kinds[@]}"; do
    case $kind in
      key.path=value) _affuse_add_keys "$word" ;;
      CONFIG)
        _affuse_add_files '*.json' "$word"
        _affuse_add_folders "$word"
        if [[ -n $word && ${#COMPREPLY[@]} -eq 0 ]]; then _affuse_add_keys "$word"; fi
        ;;
      PATH)
        compopt -o filenames 2>/dev/null
        _affuse_add _affuse_runs "$word"
        _affuse_add_files '*.safetensors' "$word"
        if ((${#COMPREPLY[@]} == 0)); then _affuse_add_folders "$word"; fi
        ;;
      RUN)
        compopt -o filenames 2>/dev/null
        _affuse_add _affuse_runs "$word"
        if ((${#COMPREPLY[@]} == 0)); then _affuse_add_folders "$word"; fi
        ;;
      WEIGHTS)
        _affuse_add_files '*.safetensors' "$word"
        _affuse_add_folders "$word"
        ;;
      PREDICTIONS | CSV)
        _affuse_add_files '*.csv' "$word"
        _affuse_add_folders "$word"
        ;;
      DIR) _affuse_add_folders "$word" ;;
      FILE | IMAGE) _affuse_add_files '*' "$word" ;;
      [a-z]*) _affuse_add compgen -W "$kind" -- "$word" ;;
    esac
  done
  if ((${#COMPREPLY[@]} > 0)); then
    mapfile -t COMPREPLY < <(printf '%s\n' "${COMPREPLY[@]}" | sort -u)
  fi
}

# The place of the word at the cursor among the arguments that are neither options nor overrides.
_affuse_place() {
  local i place=0
  for ((i = 2; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      =) ((++i)) ;; # and the value behind it
      -*)
        if [[ -n $(_affuse_kind "$1" "${COMP_WORDS[i]}") && ${COMP_WORDS[i + 1]} != = ]]; then
          ((++i))
        fi
        ;;
      *=*) ;;
      *) if [[ ${COMP_WORDS[i + 1]} != = ]]; then ((++place)); fi ;;
    esac
  done
  echo "$place"
}

_affuse() {
  local command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}
  local key='' before='' i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _affuse_add compgen -W "$_affuse_commands" -- "$word"
    return
  fi
  # Bash ends a word at a = that COMP_WORDBREAKS holds; otherwise it stands within the word.
  if [[ $word == = ]]; then
    key=$last word=''
  elif [[ $last == = ]]; then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $word == [a-z-]*=* ]]; then
    key=${word%%=*} before=${word%%=*}= word=${word#*=}
  fi
  if [[ $key == -* ]]; then
    _affuse_fill "$(_affuse_kind "$command" "$key")" "$word"
  elif [[ -n $key ]]; then
    _affuse_fill "$(_affuse_values "$key")" "$word"
  elif [[ $last == -* && -n $(_affuse_kind "$command" "$last") ]]; then
    _affuse_fill "$(_affuse_kind "$command" "$last")" "$word"
  elif [[ $word == -* ]]; then
    _affuse_add compgen -W "$(_affuse_options "$command")" -- "$word"
  else
    _affuse_fill "$(_affuse_kind "$command" "$(_affuse_place "$command")")" "$word"
  fi
  for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=$before${COMPREPLY[i]}; done
}

complete -F _affuse affuse
)BASH";

/// What stands after `key.path=`: words or FILE; empty where a number is free.
std::string values_kind(const ConfigRow& row) {
  if (row.type == ValueType::boolean) return "true|false";
  if (row.type == ValueType::choice) return fmt::format("{}", fmt::join(row.choices, "|"));
  if (row.type == ValueType::text) return "FILE";
  return std::string(row.word);
}

/// NAME() { case $SUBJECT in PATTERN) echo 'TEXT' ;; ... esac; }
class CaseFunction {
 public:
  CaseFunction(const char* name, const char* subject)
      : text_(fmt::format("{}() {{\n  case {} in\n", name, subject)) {}
  void add(std::string_view pattern, std::string_view text) {
    text_ += fmt::format("    {}) echo '{}' ;;\n", pattern, text);
  }
  std::string text() const { return text_ + "  esac\n}\n"; }

 private:
  std::string text_;
};

std::string commands_text() {
  std::string words, names;
  for (const CliCommand& row : cli_commands()) words += fmt::format("{} ", row.name);
  words += "help";
  for (const CliTopOption& row : cli_top_options()) words += fmt::format(" {}", row.name);
  return fmt::format("_affuse_commands='{}'\n", words);
}

std::string keys_text() {
  std::string keys;
  CaseFunction values("_affuse_values", "$1");
  for (const ConfigRow& row : config_rows()) {
    keys += fmt::format("{}{}=", keys.empty() ? "" : " ", row.path);
    if (const std::string kind = values_kind(row); !kind.empty()) values.add(row.path, kind);
  }
  return fmt::format("_affuse_keys='{}'\n\n# The kind of a key's value.\n{}", keys, values.text());
}

std::string arguments_text() {
  CaseFunction options("_affuse_options", "$1"), kinds("_affuse_kind", "$1:$2");
  for (const CliCommand& row : cli_commands()) {
    std::string names;
    int place = 0;
    for (const CliArgument& a : arguments_of(row)) {
      if (a.is_option()) {
        names += (names.empty() ? "" : " ") + a.name;
        if (!a.value.empty()) kinds.add(fmt::format("{}:{}", row.name, a.name), a.value);
      } else {
        const std::string at = a.repeated ? "[0-9]*" : std::to_string(place++);
        kinds.add(fmt::format("{}:{}", row.name, at), a.value);
      }
    }
    options.add(row.name, names);
  }
  std::string names;
  for (const CliCommand& row : cli_commands())
    names += fmt::format("{}{}", names.empty() ? "" : "|", row.name);
  kinds.add("help:0", names);
  for (const CliTopOption& row : cli_top_options())
    if (*row.value != '\0') kinds.add(fmt::format("{}:0", row.name), row.value);
  return fmt::format(
      "\n# A command's options.\n{}\n# The kind of an option's value, or of the argument at a "
      "place (0, 1, ...).\n{}",
      options.text(), kinds.text());
}

}  // namespace

std::string bash_completion() {
  return std::string(kHead) + commands_text() + keys_text() + arguments_text() + std::string(kBody);
}

}  // namespace affuse
