#include "fleet/source/command_source.hpp"
#include "fleet/source/gunicorn_source.hpp"
#include "fleet/source/static_source.hpp"
#include "fleet/source/uvicorn_source.hpp"
#include "fleet/source/uwsgi_source.hpp"

namespace plimsoll::fleet {

std::unique_ptr<Source> make_source(Pool& pool, std::string& why_not) {
    switch (pool.settings().source.kind) {
    case config::SourceKind::static_addresses: return std::make_unique<StaticSource>(pool);
    case config::SourceKind::command: return std::make_unique<CommandSource>(pool);
    case config::SourceKind::gunicorn: return std::make_unique<GunicornSource>(pool);
    case config::SourceKind::uvicorn: return std::make_unique<UvicornSource>(pool);
    case config::SourceKind::uwsgi: return std::make_unique<UwsgiSource>(pool);
    }
    why_not = "unknown kind of source";
    return nullptr;
}

} // namespace plimsoll::fleet
