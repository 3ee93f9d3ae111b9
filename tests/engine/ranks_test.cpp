// What srun, mpirun and torchrun say, and what is refused.
#include "engine/ranks.h"

#include <map>

#include <gtest/gtest.h>

#include "engine/error.h"

namespace affuse {
namespace {

using Variables = std::map<std::string, std::string>;

Ranks read(const Variables& variables) {
  return ranks_from_environment([&](const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
}

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

Variables without(Variables variables, const char* name) {
  variables.erase(name);
  return variables;
}

void expect_refused(const Variables& variables, const std::string& part) {
  try {
    read(variables);
    ADD_FAILURE() << "taken; expected: " << part;
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
  }
}

const Variables kTorchrun{{"RANK", "3"},
                          {"WORLD_SIZE", "8"},
                          {"LOCAL_RANK", "1"},
                          {"MASTER_ADDR", "node1"},
                          {"MASTER_PORT", "29500"}};
const Variables kMpirun{{"OMPI_COMM_WORLD_RANK", "1"},
                        {"OMPI_COMM_WORLD_SIZE", "2"},
                        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                        {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                        {"PMIX_NAMESPACE", "1234"}};
const Variables kSrun{{"SLURM_PROCID", "5"},        {"SLURM_NTASKS", "8"},  {"SLURM_LOCALID", "1"},
                      {"SLURM_NODELIST", "n[3-4]"}, {"SLURM_JOB_ID", "77"}, {"SLURM_STEP_ID", "0"}};

TEST(Ranks, AProcessStartedAloneIsTheOnlyOne) {
  const Ranks alone = read({});
  EXPECT_EQ(alone.rank, 0);
  EXPECT_EQ(alone.size, 1);
  EXPECT_EQ(alone.launcher, "");
}

TEST(Ranks, EachLauncherIsUnderstood) {
  const Ranks torchrun = read(kTorchrun);
  EXPECT_EQ(torchrun.rank, 3);
  EXPECT_EQ(torchrun.size, 8);
  EXPECT_EQ(torchrun.local_rank, 1);
  EXPECT_EQ(torchrun.address, "node1");
  EXPECT_EQ(torchrun.port, 29500);
  const Ranks mpirun = read(kMpirun);
  EXPECT_EQ(mpirun.rank, 1);
  EXPECT_EQ(mpirun.size, 2);
  EXPECT_EQ(mpirun.local_rank, 1);
  EXPECT_EQ(mpirun.address, "127.0.0.1");
  const Ranks srun = read(kSrun);
  EXPECT_EQ(srun.rank, 5);
  EXPECT_EQ(srun.size, 8);
  EXPECT_EQ(srun.local_rank, 1);
  EXPECT_EQ(srun.address, "n3");
}

TEST(Ranks, JobsHavePortsOfTheirOwn) {
  const int port = read(kSrun).port;
  EXPECT_GE(port, 20000);
  EXPECT_LT(port, 32000);
  EXPECT_EQ(port, read(with(kSrun, {{"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}})).port);
  EXPECT_NE(port, read(with(kSrun, {{"SLURM_JOB_ID", "78"}})).port);
  EXPECT_NE(port, read(with(kSrun, {{"SLURM_STEP_ID", "1"}})).port);
  EXPECT_NE(read(kMpirun).port, read(with(kMpirun, {{"PMIX_NAMESPACE", "1235"}})).port);
}

TEST(Ranks, WhatIsGivenGoesBeforeWhatIsDerived) {
  const Variables place{{"MASTER_ADDR", "head"}, {"MASTER_PORT", "4242"}};
  for (const Variables& launcher : {kMpirun, kSrun}) {
    const Ranks ranks = read(with(launcher, place));
    EXPECT_EQ(ranks.address, "head");
    EXPECT_EQ(ranks.port, 4242);
  }
  // torchrun's own store has taken the port.
  EXPECT_EQ(read(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}})).port, 29501);
}

TEST(Ranks, TheInnerLauncherCounts) {
  EXPECT_EQ(read(with(kSrun, kMpirun)).launcher, "mpirun");
  EXPECT_EQ(read(with(kSrun, kTorchrun)).launcher, "torchrun");
  // The shell of sbatch and salloc.
  EXPECT_EQ(read({{"SLURM_NTASKS", "4"}}).size, 1);
  EXPECT_EQ(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}).size, 1);
}

TEST(Ranks, WhatDoesNotFitIsRefusedInALine) {
  expect_refused({{"RANK", "0"}}, "RANK is set but WORLD_SIZE is not");
  expect_refused({{"OMPI_COMM_WORLD_SIZE", "2"}}, "OMPI_COMM_WORLD_RANK is not");
  expect_refused({{"SLURM_PROCID", "0"}}, "SLURM_NTASKS is not");
  expect_refused(with(kTorchrun, {{"RANK", "8"}}), "RANK=8 is not below WORLD_SIZE=8");
  expect_refused(with(kTorchrun, {{"LOCAL_RANK", "4"}}), "LOCAL_RANK=4 is above RANK=3");
  for (const char* bad : {"", "-1", "1.5", "two", " 1", "1 ", "99999999999999999999"})
    expect_refused(with(kTorchrun, {{"WORLD_SIZE", bad}}), "WORLD_SIZE=" + std::string(bad) + ":");
  for (const char* bad : {"0", "65536", "http"})
    expect_refused(with(kTorchrun, {{"MASTER_PORT", bad}}), "MASTER_PORT=" + std::string(bad));
  for (const char* name : {"LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"})
    expect_refused(without(kTorchrun, name), std::string(name) + " is not set");
  expect_refused(with(kTorchrun, {{"MASTER_ADDR", ""}}), "MASTER_ADDR is empty");
  expect_refused(with(kMpirun, kTorchrun), "do not agree");
  expect_refused(with(kMpirun, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}), "needs MASTER_ADDR");
}

TEST(Ranks, SlurmsListsOfMachinesBeginWithTheFirst) {
  EXPECT_EQ(first_host("gpu1"), "gpu1");
  EXPECT_EQ(first_host("gpu1,gpu2"), "gpu1");
  EXPECT_EQ(first_host("node[03-05,9],gpu1"), "node03");
  EXPECT_EQ(first_host("node[7,9]"), "node7");
  EXPECT_EQ(first_host("rack1n[2-3]-ib,x"), "rack1n2-ib");
  EXPECT_EQ(first_host("a,b[1-2]"), "a");
  EXPECT_THROW(first_host("a[1-2"), ConfigError);
}

TEST(Ranks, TheTimeoutComesFromTheEnvironment) {
  EXPECT_EQ(rank_timeout_s([](const char*) -> const char* { return nullptr; }), 60);
  EXPECT_EQ(rank_timeout_s([](const char*) { return "5"; }), 5);
  EXPECT_THROW(rank_timeout_s([](const char*) { return "soon"; }), ConfigError);
}

}  // namespace
}  // namespace affuse
