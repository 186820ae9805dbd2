#include "eqo/net/simulated_link.h"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "eqo/core/error.h"

namespace eqo {
namespace {

using Clock = std::chrono::steady_clock;

// Waking up takes up to about this long: the last bit is waited for without sleeping.
constexpr auto kWakeUp = std::chrono::microseconds(60);

class SimulatedLink final : public Transport {
 public:
  SimulatedLink(std::unique_ptr<Transport> inner, const LinkSpec& link)
      : inner_(std::move(inner)),
        byte_time_(std::chrono::duration<double>(8 / link.bits_per_second)),
        half_trip_(
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(link.round_trip_seconds / 2))),
        // About a millisecond of the link, so that bytes arrive as evenly as on a real one.
        piece_bytes_(static_cast<std::size_t>(std::clamp(link.bits_per_second / 8e3, 256.0, 65536.0))) {
    start();
  }

  ~SimulatedLink() override {
    close();
    thread_.join();
  }

  void write(std::span<const std::byte> data) override {
    std::unique_lock lock(mutex_);
    wait_until_below(lock, kQueueBytes);
    for (std::size_t at = 0; at < data.size(); at += piece_bytes_) {
      const auto part = data.subspan(at, std::min(piece_bytes_, data.size() - at));
      link_free_ = std::max(link_free_, Clock::now()) +
                   std::chrono::duration_cast<Clock::duration>(byte_time_ * static_cast<double>(part.size()));
      pieces_.push_back({link_free_ + half_trip_, {part.begin(), part.end()}});
      queued_ += part.size();
    }
    changed_.notify_all();
  }

  void read(std::span<std::byte> data) override { inner_->read(data); }

  void flush() override {
    {
      std::unique_lock lock(mutex_);
      wait_until_below(lock, 1);
    }
    inner_->flush();
  }

  void finish() override {
    {
      // The end travels like a byte.
      std::unique_lock lock(mutex_);
      check();
      pieces_.push_back({std::max(link_free_, Clock::now()) + half_trip_, std::vector<std::byte>{}});
      queued_ += 1;
      changed_.notify_all();
      wait_until_below(lock, 1);
      finished_ = true;
    }
    inner_->finish();
  }

  // What is under way is handed over without its remaining delay.
  void close() noexcept override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  void set_deadline(std::chrono::milliseconds deadline) override {
    const std::lock_guard lock(mutex_);
    deadline_ = std::min(deadline, kLongestDeadline);
    inner_->set_deadline(deadline);
  }

  Bytes channel_binding() override { return inner_->channel_binding(); }

 private:
  static constexpr std::size_t kQueueBytes = std::size_t{64} << 20;
  struct Piece {
    Clock::time_point arrival;
    std::vector<std::byte> bytes;  // empty: the end
  };

  void start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw resource_error("cannot start a thread for the simulated link", "allow this process more threads");
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void check() const {
    if (error_) throw *error_;
    if (closed_ || finished_) throw connection_error("the connection is closed");
  }

  void wait_until_below(std::unique_lock<std::mutex>& lock, std::size_t bound) {
    check();
    while (queued_ >= bound) {
      const std::uint64_t before = delivered_;
      changed_.wait_for(lock, deadline_ + half_trip_,
                        [&] { return queued_ < bound || delivered_ != before || error_ || closed_; });
      check();
      if (queued_ >= bound && delivered_ == before)
        throw connection_error("the simulated link moved nothing for " + std::to_string(deadline_.count()) + " ms");
    }
  }

  void run() noexcept {
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // this thread's timers are exact
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return closed_ || !pieces_.empty(); });
      if (pieces_.empty()) break;
      const auto arrival = pieces_.front().arrival;
      if (!closed_ && Clock::now() < arrival - kWakeUp) {
        changed_.wait_until(lock, arrival - kWakeUp, [&] { return closed_; });
        continue;
      }
      const Piece piece = std::move(pieces_.front());
      pieces_.pop_front();
      const bool hurry = closed_;
      lock.unlock();
      while (!hurry && Clock::now() < arrival) std::this_thread::yield();
      std::optional<Error> error = deliver(piece);
      lock.lock();
      queued_ -= std::max<std::size_t>(piece.bytes.size(), 1);
      ++delivered_;
      if (error) {
        error_ = std::move(error);
        pieces_.clear();
        queued_ = 0;
      }
      changed_.notify_all();
    }
    lock.unlock();
    inner_->close();
  }

  std::optional<Error> deliver(const Piece& piece) noexcept {
    try {
      if (!piece.bytes.empty()) inner_->write(piece.bytes);
      return std::nullopt;
    } catch (const Error& e) {
      return e;
    } catch (const std::exception&) {
      return resource_error("out of memory in the simulated link");
    }
  }

  std::unique_ptr<Transport> inner_;
  const std::chrono::duration<double> byte_time_;
  const Clock::duration half_trip_;
  const std::size_t piece_bytes_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> pieces_;
  std::size_t queued_ = 0;  // bytes not yet delivered
  std::uint64_t delivered_ = 0;
  Clock::time_point link_free_{};
  std::chrono::milliseconds deadline_{60'000};
  bool closed_ = false, finished_ = false;
  std::optional<Error> error_;
  std::thread thread_;
};

// A number with one of the suffixes; nothing if it is anything else or outside [low, high].
struct Suffix {
  std::string_view text;
  double factor;
};
double parse_quantity(std::string_view text, std::initializer_list<Suffix> suffixes, double low, double high) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::general);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto* s = std::find_if(suffixes.begin(), suffixes.end(), [&](const Suffix& x) { return x.text == unit; });
  if (failed == std::errc{} && s != suffixes.end() && std::isfinite(value)) {
    value *= s->factor;
    if (value >= low && value <= high) return value;
  }
  throw usage_error("not a network: the rate or the round trip is not a number in range",
                    "write lan, wan or BITS_PER_S,RTT, for example 400M,40ms");
}

}  // namespace

LinkSpec parse_link(std::string_view text) {
  if (text == "lan") return kLan;
  if (text == "wan") return kWan;
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos)
    throw usage_error("not a network: no comma", "write lan, wan or BITS_PER_S,RTT, for example 400M,40ms");
  return {parse_quantity(text.substr(0, comma), {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}, 1e3, 1e12),
          parse_quantity(text.substr(comma + 1), {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}}, 0, 10)};
}

std::unique_ptr<Transport> simulate_link(std::unique_ptr<Transport> inner, const LinkSpec& link) {
  const bool rate_ok = link.bits_per_second >= 1e3 && link.bits_per_second <= 1e12;
  const bool trip_ok = link.round_trip_seconds >= 0 && link.round_trip_seconds <= 10;
  if (!inner || !rate_ok || !trip_ok) throw usage_error("simulated link: rate or round trip out of range");
  return std::make_unique<SimulatedLink>(std::move(inner), link);
}

}  // namespace eqo
