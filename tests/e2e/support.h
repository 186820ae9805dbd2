#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "e2e/process.h"
#include "eqo/core/error.h"

namespace eqo::e2e {

using Words = std::vector<std::string>;

// A new folder, removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string fixture(const std::string& name);
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);

// DATA of eight random images in CIFAR-10's layout, from the fixtures.
std::string images();
// The bytes of a NumPy file, for example of type "|u1" and shape "2, 13, 14".
std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                const std::string& fortran = "False");
// A small network (1x13x14 input, 5 outputs) quantized into the folder.
std::string small_model(const Folder& folder);

// Runs the executable to its end.
Ended run_eqo(const Words& arguments, const Process::Options& options = {});
// Runs it with --json: exit code 0, one JSON document on standard output, nothing on standard error.
nlohmann::json run_json(const Words& arguments, const Process::Options& options = {});
// Runs it without and with --json. Both times: the category's exit code and one line on standard error that names the
// category and contains `text`. Without: nothing on standard output but what check lists. With: one JSON document with
// the error object.
void expect_error(const Words& arguments, Category category, const std::string& text = {},
                  const Process::Options& options = {});
// The judgement on one run that must have failed.
void check_error(const Ended& ended, bool json, Category category, const std::string& text);

// `eqo serve` on a free port of 127.0.0.1.
class Server {
 public:
  // Plain TCP unless `flags` has certificates.
  Server(const Folder& folder, const std::string& model, const Words& flags = {"--insecure"},
         const std::string& host = "127.0.0.1");
  std::string address() const { return host_ + ":" + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  Process& process() { return *process_; }
  // SIGTERM; it must end with exit code 0. Returns its log.
  std::string stop(std::chrono::milliseconds limit = std::chrono::seconds(20));

 private:
  std::string host_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Process> process_;
};

// Arguments of `eqo infer` for one image of images() over plain TCP.
Words infer_arguments(const Server& server, const Words& more = {"--insecure"});
// That client gets its answer: the server works.
void expect_served(const Server& server, const Words& flags = {"--insecure"});

// Joins argument lists.
Words operator+(Words a, const Words& b);

}  // namespace eqo::e2e
