#include "fleet/source/uvicorn_source.hpp"

#include "fleet/source/ending.hpp"

namespace plimsoll::fleet {

namespace asio = boost::asio;

asio::awaitable<Successor> UvicornSource::begin_successor(WorkerPtr, Duration) {
    co_return Successor{nullptr, "uvicorn's supervisor starts a worker only when one has ended", true};
}

asio::awaitable<std::string> UvicornSource::cancel_successor(WorkerPtr, GenerationPtr, Said) {
    co_return std::string{};
}

asio::awaitable<bool> UvicornSource::retire(WorkerPtr, GenerationPtr generation, Said said) {
    return end_by_signals(pool_.shared_from_this(), std::move(generation), false, std::move(said));
}

} // namespace plimsoll::fleet
