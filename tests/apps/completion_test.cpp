// Completion in a real Bash: what it offers for the words typed so far.
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "apps/cli_commands.h"
#include "apps/cli_documents.h"
#include "apps/config/table.h"
#include "tests/apps/run_affuse.h"
#include "tests/apps/run_terminal.h"

namespace affuse::test {
namespace {

namespace fs = std::filesystem;

std::string shell_word(const std::string& word) { return "'" + word + "'"; }

class Completion : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("affuse.bash", bash_completion());
    for (const char* file :
         {"configs/a.json", "configs/b.json", "configs/notes.txt", "runs/a-1/config.json",
          "runs/a-2/config.json", "runs/other/x.txt", "best.safetensors", "p.csv", "face one.jpg"})
      folder_.write(file, "");
  }

  /// Replies to the words, the last of which is at the cursor, in the order of the alphabet. Bash
  /// gives a = as a word of its own.
  Arguments replies(const Arguments& words) const {
    std::string script = "set -u; source ./affuse.bash; COMP_WORDS=(affuse";
    std::string line = "affuse";
    for (const std::string& word : words) {
      script += " " + shell_word(word);
      line += " " + word;
    }
    script += "); COMP_CWORD=" + std::to_string(words.size()) + "; COMP_LINE=" + shell_word(line) +
              "; COMP_POINT=${#COMP_LINE}; _affuse; printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    folder_.write("ask.bash", script);
    const std::string command =
        "cd " + shell_word(folder_.path()) + " && bash --norc ask.bash > replies 2> complaints";
    EXPECT_EQ(std::system(command.c_str()), 0) << script;
    EXPECT_EQ(read_text(folder_ / "complaints"), "") << script;
    Arguments out;
    std::istringstream lines(read_text(folder_ / "replies"));
    for (std::string reply; std::getline(lines, reply);)
      if (!reply.empty()) out.push_back(reply);
    std::sort(out.begin(), out.end());
    return out;
  }

  const Folder folder_;
};

TEST_F(Completion, CommandsAndTheirOptions) {
  EXPECT_EQ(replies({"t"}), Arguments{"train"});
  EXPECT_EQ(replies({"--comp"}), Arguments{"--completion"});
  EXPECT_EQ(replies({"--completion", ""}), Arguments{"bash"});
  EXPECT_EQ(replies({"help", "p"}), Arguments{"predict"});
  EXPECT_EQ(replies({"train", "a.json", "--o"}), (Arguments{"--out", "--overwrite"}));
  EXPECT_EQ(replies({"nonsense", "x"}), Arguments{});
  for (const CliCommand& row : cli_commands()) {
    const Arguments options = replies({row.name, "--"});
    for (const CliArgument& a : arguments_of(row))
      EXPECT_EQ(std::count(options.begin(), options.end(), a.name), a.is_option() ? 1 : 0)
          << row.name << " " << a.name;
  }
  EXPECT_EQ(replies({""}).size(), cli_commands().size() + cli_top_options().size() + 1);
}

TEST_F(Completion, ValuesOfOptionsWithBothWaysToGiveThem) {
  EXPECT_EQ(replies({"eval", "runs/a-1", "--split", ""}), (Arguments{"train", "val"}));
  EXPECT_EQ(replies({"eval", "runs/a-1", "--split", "=", "v"}), Arguments{"val"});
  EXPECT_EQ(replies({"eval", "runs/a-1", "--split", "="}), (Arguments{"train", "val"}));
  EXPECT_EQ(replies({"eval", "runs/a-1", "--split=v"}), Arguments{"--split=val"});
  EXPECT_EQ(replies({"synth", "--layout", "c"}), Arguments{"csv"});
  EXPECT_EQ(replies({"info", "configs/a.json", "--plan-for", "sm"}),
            (Arguments{"sm75", "sm80", "sm90"}));
  EXPECT_EQ(replies({"metrics", "--bins", ""}), Arguments{}) << "any number";
}

TEST_F(Completion, FilesAndRunFolders) {
  EXPECT_EQ(replies({"train", "configs/"}), (Arguments{"configs/a.json", "configs/b.json"}));
  EXPECT_EQ(replies({"train", "con"}), Arguments{"configs"});
  EXPECT_EQ(replies({"labels", "--config", "configs/b"}), Arguments{"configs/b.json"});
  EXPECT_EQ(replies({"train", "--resume", ""}), (Arguments{"runs/a-1", "runs/a-2"}));
  EXPECT_EQ(replies({"train", "--resume", "runs/a-2"}), Arguments{"runs/a-2"});
  EXPECT_EQ(replies({"eval", ""}), (Arguments{"best.safetensors", "runs/a-1", "runs/a-2"}));
  EXPECT_EQ(replies({"eval", "b"}), Arguments{"best.safetensors"});
  EXPECT_EQ(replies({"predict", "b"}), Arguments{"best.safetensors"});
  EXPECT_EQ(replies({"predict", "best.safetensors", "f"}), Arguments{"face one.jpg"});
  EXPECT_EQ(replies({"predict", "best.safetensors", "face one.jpg", "p"}), Arguments{"p.csv"});
  EXPECT_EQ(replies({"metrics", "p"}), Arguments{"p.csv"});
  EXPECT_EQ(replies({"labels", "--manifest", "p"}), Arguments{"p.csv"});
}

TEST_F(Completion, KeysAndTheirValues) {
  EXPECT_EQ(replies({"train", "configs/a.json", "swa."}),
            (Arguments{"swa.enabled=", "swa.lr=", "swa.start_epoch="}));
  EXPECT_EQ(replies({"train", "configs/a.json", ""}).size(), config_rows().size());
  EXPECT_EQ(replies({"train", "train.epo"}), Arguments{"train.epochs="})
      << "before the configuration too";
  EXPECT_EQ(replies({"train", "train.epochs", "=", "3", "configs/b"}), Arguments{"configs/b.json"});
  EXPECT_EQ(
      replies({"train", "train.epochs", "=", "3", "configs/a.json", "--out", "x", "train.see"}),
      Arguments{"train.seed="});
  EXPECT_EQ(replies({"eval", "runs/a-1", "train.dev"}), Arguments{"train.device="});
  EXPECT_EQ(replies({"train", "a.json", "label_model.kind", "="}),
            (Arguments{"euclid", "given", "gmm", "noise_aware", "onehot"}));
  EXPECT_EQ(replies({"train", "a.json", "label_model.kind", "=", "g"}),
            (Arguments{"given", "gmm"}));
  EXPECT_EQ(replies({"train", "a.json", "label_model.kind=g"}),
            (Arguments{"label_model.kind=given", "label_model.kind=gmm"}))
      << "COMP_WORDBREAKS without =";
  EXPECT_EQ(replies({"train", "a.json", "swa.enabled", "=", "t"}), Arguments{"true"});
  EXPECT_EQ(replies({"train", "a.json", "noise.seed", "="}), Arguments{"auto"});
  EXPECT_EQ(replies({"train", "a.json", "train.epochs", "="}), Arguments{});
  EXPECT_EQ(replies({"train", "a.json", "data.train", "=", "p"}), Arguments{"p.csv"});
  EXPECT_EQ(replies({"train", "a.json", "no.such", "=", ""}), Arguments{});
}

TEST_F(Completion, AtTheKeyboard) {
  const std::string path = fs::path(AFFUSE_BINARY).parent_path();
  TerminalProgram bash(folder_.path(), {"bash", "--norc", "--noprofile", "-i"}, 200,
                       {{"PS1", "$ "}, {"HISTFILE", ""}, {"INPUTRC", "none"}});
  bash.read_until("$ ");
  bash.type("bind 'set enable-bracketed-paste off'; PATH=" + shell_word(path) +
            ":$PATH; source <(affuse --completion bash); echo rea''dy\n");
  bash.read_until("ready\r\n");
  // A key that ends in = is followed by its value; what was typed is run by echo.
  bash.type("affuse tra\tconf\ta.j\tlabel_model.k\tno\tswa.en\tt\t");
  bash.type(
      "\x01"
      "echo GOT \x05 END\n");  // Ctrl-A, Ctrl-E
  bash.type("exit\n");
  EXPECT_EQ(bash.finish(), 0);
  EXPECT_TRUE(contains(bash.text(),
                       "\nGOT affuse train configs/a.json label_model.kind=noise_aware "
                       "swa.enabled=true END\r\n"))
      << bash.text();
}

}  // namespace
}  // namespace affuse::test
