// The API described for machines (OpenAPI 3). Kept by hand, because a description that is made from the code says no more than
// the code; a test asks every path it names and holds its fields against real answers.
#include "admin/api.hpp"

namespace plimsoll::admin {
namespace {

constexpr std::string_view document = R"json({
  "openapi": "3.0.3",
  "info": {
    "title": "Plimsoll admin API",
    "version": "1",
    "description": "What the proxy knows of its fleet, and what an operator can do with it. Unknown numbers are null, times are RFC 3339 in UTC, lists are objects with one key."
  },
  "security": [{}, {"bearer": []}, {"token": []}],
  "paths": {
    "/": {"get": {"summary": "Where to begin", "responses": {"200": {"description": "Names the paths to begin with"}}}},
    "/healthz": {"get": {"summary": "Alive?", "security": [{}], "responses": {"200": {"description": "Alive", "content": {"text/plain": {}}}}}},
    "/readyz": {
      "get": {
        "summary": "Does every pool serve that a route leads to?",
        "security": [{}],
        "parameters": [{"name": "pool", "in": "query", "schema": {"type": "string"}, "description": "This pool alone, whether a route leads to it or not"}],
        "responses": {
          "200": {"description": "Ready", "content": {"text/plain": {}}},
          "404": {"description": "There is no such pool", "content": {"text/plain": {}}},
          "503": {"description": "Not ready: one reason a line", "content": {"text/plain": {}}}
        }
      }
    },
    "/metrics": {"get": {"summary": "Metrics in Prometheus' text format", "responses": {"200": {"description": "Metrics", "content": {"text/plain": {}}}}}},
    "/v1/status": {"get": {"summary": "The proxy at a glance", "responses": {"200": {"description": "Status", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}}}}},
    "/v1/pools": {
      "get": {
        "summary": "All pools with their workers",
        "responses": {"200": {"description": "Pools", "content": {"application/json": {"schema": {"type": "object", "properties": {"pools": {"type": "array", "items": {"$ref": "#/components/schemas/Pool"}}}}}}}}
      }
    },
    "/v1/pools/{pool}": {
      "parameters": [{"$ref": "#/components/parameters/pool"}],
      "get": {
        "summary": "One pool",
        "responses": {
          "200": {"description": "Pool", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pool"}}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/pools/{pool}/workers": {
      "parameters": [{"$ref": "#/components/parameters/pool"}],
      "get": {
        "summary": "The workers of a pool",
        "responses": {
          "200": {"description": "Workers", "content": {"application/json": {"schema": {"type": "object", "properties": {"workers": {"type": "array", "items": {"$ref": "#/components/schemas/Worker"}}}}}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/pools/{pool}/workers/{id}": {
      "parameters": [{"$ref": "#/components/parameters/pool"}, {"$ref": "#/components/parameters/worker"}],
      "get": {
        "summary": "One worker",
        "responses": {
          "200": {"description": "Worker", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Worker"}}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/pools/{pool}/workers/{id}/{action}": {
      "parameters": [
        {"$ref": "#/components/parameters/pool"},
        {"$ref": "#/components/parameters/worker"},
        {"name": "action", "in": "path", "required": true, "schema": {"type": "string", "enum": ["drain", "undrain", "recycle", "capture", "trace"]}}
      ],
      "post": {
        "summary": "Drain, undrain, recycle, capture or trace a worker",
        "requestBody": {"required": false, "content": {"application/json": {"schema": {"type": "object", "properties": {"reason": {"type": "string", "description": "Kept with the incident"}}}}}},
        "responses": {
          "202": {"description": "Begun; the incident tells the rest", "content": {"application/json": {"schema": {"type": "object", "properties": {"incident": {"type": "string"}}}}}},
          "404": {"$ref": "#/components/responses/Error"},
          "409": {"$ref": "#/components/responses/NotNow"},
          "429": {"$ref": "#/components/responses/NotNow"}
        }
      }
    },
    "/v1/leaks": {
      "get": {
        "summary": "What grows, of which workers, how fast, and when it reaches the limit; only what is suspected or sure. And of each worker what its memory does",
        "responses": {"200": {"description": "Leaks", "content": {"application/json": {"schema": {"type": "object", "properties": {"leaks": {"type": "array", "items": {"$ref": "#/components/schemas/Leak"}}, "workers": {"type": "array", "items": {"$ref": "#/components/schemas/WorkerGrowth"}}, "unjudged": {"type": "array", "description": "Of pools whose servers replace their workers too soon for a judgement: that it is so", "items": {"type": "string"}}}}}}}}
      }
    },
    "/v1/incidents": {
      "get": {
        "summary": "Incidents, newest first, without their timelines",
        "parameters": [
          {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
          {"name": "pool", "in": "query", "schema": {"type": "string"}}
        ],
        "responses": {
          "200": {"description": "Incidents", "content": {"application/json": {"schema": {"type": "object", "properties": {"incidents": {"type": "array", "items": {"$ref": "#/components/schemas/Incident"}}}}}}},
          "400": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/incidents/{id}": {
      "parameters": [{"$ref": "#/components/parameters/incident"}],
      "get": {
        "summary": "One incident with its timeline",
        "responses": {
          "200": {"description": "Incident", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Incident"}}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/incidents/{id}.html": {
      "parameters": [{"$ref": "#/components/parameters/incident"}],
      "get": {
        "summary": "One incident as a page that stands for itself, to attach to a ticket: story, charts, evidence; it fetches and runs nothing",
        "responses": {
          "200": {"description": "The page", "content": {"text/html": {}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/incidents/{id}/files/{name}": {
      "parameters": [
        {"$ref": "#/components/parameters/incident"},
        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}
      ],
      "get": {
        "summary": "One file of the evidence",
        "responses": {
          "200": {"description": "The file", "content": {"application/octet-stream": {}, "text/plain": {}, "application/json": {}, "image/svg+xml": {}}},
          "404": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/config": {
      "get": {
        "summary": "The running configuration in the shape of its file; secrets are hidden",
        "responses": {"200": {"description": "Configuration", "content": {"application/json": {"schema": {"type": "object", "properties": {"config": {"type": "object"}}}}}}}
      }
    },
    "/v1/config/validate": {
      "post": {
        "summary": "Checks a configuration without using it, and says what it would change",
        "requestBody": {"required": true, "content": {"application/toml": {"schema": {"type": "string"}}}},
        "responses": {
          "200": {"description": "It would be taken", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Changes"}}}},
          "422": {"$ref": "#/components/responses/Problems"}
        }
      }
    },
    "/v1/config/reload": {
      "post": {
        "summary": "Reads the configuration file again and swaps it whole, or not at all",
        "responses": {
          "200": {"description": "Taken over", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Changes"}}}},
          "409": {"$ref": "#/components/responses/Error"},
          "422": {"$ref": "#/components/responses/Problems"}
        }
      }
    },
    "/v1/events": {
      "get": {
        "summary": "Events as they happen (server-sent): state changes of workers and gates, incidents, reloads; `missed` tells a slow reader how many it did not get",
        "responses": {
          "200": {"description": "A stream without end", "content": {"text/event-stream": {}}},
          "503": {"$ref": "#/components/responses/Error"}
        }
      }
    },
    "/v1/openapi.json": {"get": {"summary": "This document", "responses": {"200": {"description": "OpenAPI", "content": {"application/json": {}}}}}}
  },
  "components": {
    "securitySchemes": {
      "bearer": {"type": "http", "scheme": "bearer"},
      "token": {"type": "apiKey", "in": "header", "name": "X-Plimsoll-Token"}
    },
    "parameters": {
      "pool": {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
      "worker": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
      "incident": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}
    },
    "responses": {
      "Error": {"description": "Why not", "content": {"application/problem+json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}},
      "NotNow": {
        "description": "The pool is busy, at its minimum, or has had its recycles of the hour",
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        "content": {"application/problem+json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}, "reason": {"type": "string"}}}}}
      },
      "Problems": {
        "description": "Every problem at once; nothing was changed",
        "content": {"application/json": {"schema": {"type": "object", "properties": {
          "ok": {"type": "boolean"},
          "error": {"type": "string"},
          "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
          "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}
        }}}}
      }
    },
    "schemas": {
      "Status": {"type": "object", "properties": {
        "version": {"type": "string"},
        "pid": {"type": "integer"},
        "started_at": {"type": "string", "format": "date-time"},
        "uptime_seconds": {"type": "integer"},
        "ready": {"type": "boolean"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "listeners": {"type": "array", "items": {"type": "string"}},
        "pools": {"type": "array", "items": {"type": "object"}},
        "traffic": {"type": "object"},
        "gates": {"type": "array", "items": {"$ref": "#/components/schemas/Gate"}},
        "limits": {"type": "array", "items": {"$ref": "#/components/schemas/Limit"}},
        "redis": {"type": "object", "nullable": true, "description": "Where shared limits are counted: the state of the breaker around it (passing, tripped, probing), the newest problem while it is not passing, requests by what came of asking; null where no limit is shared"},
        "store": {"type": "object"},
        "memory": {"type": "object"}
      }},
      "Limit": {"type": "object", "description": "One [[route.limit]] that is in force, and what became of the requests that it has judged", "properties": {
        "pool": {"type": "string"},
        "route": {"type": "string"},
        "limit": {"type": "string", "description": "Its name, as clients see it; client#2 is the second of one key"},
        "key": {"type": "array", "items": {"type": "string"}, "description": "What requests are counted by"},
        "rate": {"type": "string", "nullable": true, "description": "100/s; null: only those at once are bounded"},
        "burst": {"type": "integer"},
        "cost": {"type": "integer", "description": "How many one request counts for"},
        "inflight": {"type": "integer", "nullable": true, "description": "At once; null: any number"},
        "mode": {"type": "string", "enum": ["enforce", "shadow"]},
        "shared": {"type": "boolean", "description": "The rate is counted in Redis"},
        "passed": {"type": "integer"},
        "refused": {"type": "integer"},
        "shadow": {"type": "integer", "description": "Would have been refused"}
      }},
      "Gate": {"type": "object", "description": "The door of a pool: why it refuses, or would", "properties": {
        "pool": {"type": "string"},
        "overloaded": {"type": "boolean"},
        "memory_waiting": {"type": "integer", "description": "Requests that wait for room because they need much memory"},
        "memory_needs": {"type": "array", "items": {"type": "object"}, "description": "What requests need at their peak, by label; the greatest"},
        "memory_shedding": {"type": "boolean"},
        "shedding_futile": {"type": "boolean", "description": "Refusing did not help: everybody is served"},
        "health_panic": {"type": "boolean", "description": "So many workers fail their checks that all are served"},
        "memory_pressure": {"type": "number", "nullable": true, "description": "What the load line goes by; null: of no worker is it known"},
        "stall": {"type": "number", "nullable": true, "description": "Share of the time that tasks stall for memory"},
        "stall_shedding": {"type": "boolean"},
        "queue_target_seconds": {"type": "number"},
        "service_seconds": {"type": "number"},
        "refused": {"type": "object", "description": "By priority"},
        "retries_denied": {"type": "integer"},
        "breakers": {"type": "array", "items": {"type": "object"}, "description": "Of routes"}
      }},
      "Pool": {"type": "object", "properties": {
        "name": {"type": "string"},
        "source": {"type": "string"},
        "routed": {"type": "boolean", "description": "A route leads to it: whether the proxy is ready hangs on it"},
        "serving": {"type": "integer"},
        "min_serving": {"type": "integer"},
        "queued": {"type": "integer"},
        "in_flight": {"type": "integer"},
        "slots": {"type": "integer"},
        "alert": {"type": "string", "nullable": true, "description": "Why recycling has stopped, or which workers did not get ready and why"},
        "recycling": {"type": "string", "nullable": true, "description": "The worker that is being recycled"},
        "recycles": {"type": "object"},
        "captures": {"type": "object"},
        "ailing": {"type": "integer", "description": "Of those that serve: their health checks fail"},
        "checks": {"type": "object", "properties": {
          "passed": {"type": "integer"},
          "failed": {"type": "integer"},
          "skipped": {"type": "integer", "description": "No slot was free"}
        }},
        "trims": {"type": "object", "properties": {
          "count": {"type": "integer"},
          "bytes": {"type": "integer", "description": "Given back to the kernel"}
        }},
        "deaths": {"type": "integer"},
        "experiment": {"allOf": [{"$ref": "#/components/schemas/Experiment"}], "nullable": true},
        "workers": {"type": "array", "items": {"$ref": "#/components/schemas/Worker"}}
      }},
      "Experiment": {"type": "object", "description": "Labels are sent to other workers than usual, to tell which of them leaks: the one that runs, or the last", "properties": {
        "state": {"type": "string", "enum": ["running", "answered", "spent", "slower", "over"], "description": "answered: it is known; spent: the budget is used up; slower: the p99 rose; over: nobody is suspect any more"},
        "epochs": {"type": "integer"},
        "requests": {"type": "integer", "description": "Of the pool, since it began"},
        "budget": {"type": "integer"},
        "varied_requests": {"type": "integer", "description": "The rest came in epochs for comparison"},
        "varied_p99_seconds": {"type": "number", "nullable": true},
        "control_p99_seconds": {"type": "number", "nullable": true}
      }},
      "Growth": {"type": "object", "description": "What a worker's memory does, over the requests that it has served", "properties": {
        "class": {"type": "string", "enum": ["unknown", "steady", "warming", "cache", "fragmentation", "unsharing", "leaking"]},
        "bytes_per_request": {"type": "number"},
        "low": {"type": "number"},
        "high": {"type": "number"},
        "confidence": {"type": "number", "description": "That the class is right; a leak is an incident from 0.8"},
        "slow": {"type": "boolean", "description": "It grows, and does not reach its limit within 24 hours"},
        "requests_to_limit": {"type": "number", "nullable": true},
        "requests_early": {"type": "number", "nullable": true, "description": "Not before so many"},
        "seconds_to_limit": {"type": "number", "nullable": true},
        "seconds_early": {"type": "number", "nullable": true, "description": "Not before then, at the present rate of requests"}
      }},
      "LeakingRoute": {"type": "object", "description": "What requests of one label leave behind, or of several that always come together", "properties": {
        "route": {"type": "string"},
        "bytes_per_request": {"type": "number"},
        "low": {"type": "number"},
        "high": {"type": "number"},
        "share": {"type": "number", "description": "Of all growth that routes explain"},
        "heaviest": {"type": "string", "enum": ["no", "maybe", "yes"], "description": "maybe: one of these is, and which one is not sure yet"}
      }},
      "WorkerGrowth": {"type": "object", "description": "A worker's Growth, class unknown where too little was seen", "properties": {
        "worker": {"type": "string"},
        "pool": {"type": "string"},
        "generation": {"type": "integer"},
        "requests": {"type": "integer", "description": "That it has served"},
        "class": {"type": "string", "enum": ["unknown", "steady", "warming", "cache", "fragmentation", "unsharing", "leaking"]},
        "bytes_per_request": {"type": "number", "nullable": true},
        "low": {"type": "number", "nullable": true},
        "high": {"type": "number", "nullable": true},
        "confidence": {"type": "number", "nullable": true},
        "slow": {"type": "boolean"},
        "requests_to_limit": {"type": "number", "nullable": true},
        "requests_early": {"type": "number", "nullable": true},
        "seconds_to_limit": {"type": "number", "nullable": true},
        "seconds_early": {"type": "number", "nullable": true}
      }},
      "Leak": {"type": "object", "properties": {
        "id": {"type": "string"},
        "pool": {"type": "string"},
        "what": {"type": "string", "enum": ["memory", "descriptors", "threads", "children"], "description": "Of all but memory the bytes are counts"},
        "class": {"type": "string"},
        "bytes_per_request": {"type": "number"},
        "low": {"type": "number"},
        "high": {"type": "number"},
        "confidence": {"type": "number"},
        "slow": {"type": "boolean"},
        "requests_to_limit": {"type": "number", "nullable": true},
        "requests_early": {"type": "number", "nullable": true},
        "seconds_to_limit": {"type": "number", "nullable": true},
        "seconds_early": {"type": "number", "nullable": true},
        "routes": {"type": "array", "items": {"$ref": "#/components/schemas/LeakingRoute"}},
        "order_is_sure": {"type": "boolean", "description": "The first route is the heaviest; else one of those that may be"},
        "experiment": {"allOf": [{"$ref": "#/components/schemas/Experiment"}], "nullable": true},
        "lines": {"type": "array", "items": {"type": "object"}},
        "kept_by": {"type": "string", "nullable": true, "description": "Who keeps what grows: shop.orders._seen (dict, 40213 items)"},
        "mostly": {"type": "string", "nullable": true, "description": "Of descriptors, threads and children: what most of them are"},
        "recycles": {"type": "integer", "description": "For it, so far"},
        "closed_after_requests": {"type": "number", "nullable": true, "description": "While its incident is open and no worker shows it: requests that one process has to serve without it"},
        "since_release": {"type": "string", "nullable": true, "description": "That brought it, where the one before was there for long enough without it"},
        "release_before": {"type": "string", "nullable": true},
        "planned_at": {"type": "string", "format": "date-time", "nullable": true, "description": "The trough of the traffic to which its recycle is put off"},
        "workers": {"type": "array", "items": {"type": "string"}},
        "incidents": {"type": "array", "items": {"type": "string"}},
        "advice": {"type": "string", "nullable": true},
        "verdict": {"type": "string", "description": "One sentence for a human"}
      }},
      "Worker": {"type": "object", "properties": {
        "id": {"type": "string", "description": "The place, the same over generations"},
        "pool": {"type": "string"},
        "address": {"type": "string", "nullable": true},
        "pid": {"type": "integer", "nullable": true},
        "generation": {"type": "integer"},
        "state": {"type": "string", "enum": ["starting", "warming", "serving", "suspect", "draining", "capturing", "ending", "stuck", "failed"]},
        "addressable": {"type": "boolean"},
        "advice": {"type": "string", "nullable": true, "description": "Where it is not addressable: what would make it so. Else, before it serves: why its last probe says that it is not ready"},
        "started_at": {"type": "string", "format": "date-time", "nullable": true},
        "requests": {"type": "integer", "description": "That this generation was given"},
        "server_requests": {"type": "integer", "nullable": true, "description": "The same by its server's own count (uWSGI): health checks and what came by sockets of its own configuration, too; null: it does not say"},
        "in_flight": {"type": "integer"},
        "streams": {"type": "integer", "description": "Event streams and upgraded connections beside those in flight: they hold no slot"},
        "slots": {"type": "integer"},
        "memory": {"$ref": "#/components/schemas/Memory"},
        "leak": {"allOf": [{"$ref": "#/components/schemas/Growth"}], "nullable": true},
        "breaker": {"type": "object", "nullable": true, "properties": {
          "state": {"type": "string", "enum": ["passing", "tripped", "probing"]},
          "trips": {"type": "integer"}
        }},
        "takes": {"type": "string", "nullable": true, "enum": ["critical", "normal", "sheddable"], "description": "The lowest priority that it is given while other workers have more room in memory"},
        "learned_slots": {"type": "object", "nullable": true, "description": "Of a worker whose slots nobody says", "properties": {
          "slots": {"type": "number"},
          "base_seconds": {"type": "number", "description": "What a request takes without queueing; 0: not known yet"}
        }},
        "health": {"type": "object", "nullable": true, "description": "What active checks say; null: it is not asked", "properties": {
          "healthy": {"type": "boolean"},
          "row": {"type": "integer", "description": "Checks in a row that say otherwise"},
          "last": {"type": "string", "nullable": true, "description": "The last answer in words"},
          "last_at": {"type": "string", "format": "date-time", "nullable": true}
        }},
        "agent": {"type": "object", "properties": {
          "connected": {"type": "boolean"},
          "server": {"type": "string", "nullable": true},
          "python": {"type": "string", "nullable": true},
          "version": {"type": "string", "nullable": true}
        }}
      }},
      "Memory": {"type": "object", "properties": {
        "anon_bytes": {"type": "integer", "nullable": true},
        "rss_bytes": {"type": "integer", "nullable": true},
        "pss_bytes": {"type": "integer", "nullable": true},
        "uss_bytes": {"type": "integer", "nullable": true},
        "limit_bytes": {"type": "integer", "nullable": true},
        "pressure": {"type": "number", "nullable": true},
        "taken_at": {"type": "string", "format": "date-time", "nullable": true},
        "source": {"type": "string", "enum": ["proc", "agent", "cgroup", "none"]}
      }},
      "Incident": {"type": "object", "properties": {
        "id": {"type": "string"},
        "pool": {"type": "string"},
        "worker": {"type": "string"},
        "generation": {"type": "integer"},
        "opened_at": {"type": "string", "format": "date-time"},
        "closed_at": {"type": "string", "format": "date-time", "nullable": true},
        "state": {"type": "string", "enum": ["open", "closed", "abandoned"]},
        "trigger": {"type": "string"},
        "verdict": {"type": "string"},
        "routes": {"type": "array", "items": {"$ref": "#/components/schemas/LeakingRoute"}},
        "lines": {"type": "array", "items": {"type": "object"}},
        "types": {"type": "array", "items": {"type": "object"}},
        "retainers": {"nullable": true},
        "capture": {"type": "object", "properties": {
          "status": {"type": "string"},
          "files": {"type": "array", "items": {"type": "string"}},
          "sizes": {"type": "object", "additionalProperties": {"type": "integer"}}
        }},
        "recycle": {"type": "object", "nullable": true},
        "timeline": {"type": "array", "items": {"type": "object", "properties": {
          "at": {"type": "string", "format": "date-time"},
          "event": {"type": "string"}
        }}}
      }},
      "Problem": {"type": "object", "properties": {
        "file": {"type": "string"},
        "line": {"type": "integer"},
        "column": {"type": "integer"},
        "key": {"type": "string"},
        "message": {"type": "string"},
        "suggestion": {"type": "string", "nullable": true},
        "text": {"type": "string"}
      }},
      "Changes": {"type": "object", "properties": {
        "ok": {"type": "boolean"},
        "changes": {"type": "array", "items": {"type": "object"}},
        "needs_restart": {"type": "array", "items": {"type": "string"}},
        "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}}
      }}
    }
  }
}
)json";

} // namespace

std::string_view openapi_document() { return document; }

} // namespace plimsoll::admin
