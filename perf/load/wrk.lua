-- For wrk: pipelines requests, posts a body, and reports as one line of JSON. Arguments after "--": how many requests are sent at once, and
-- the body of each, if it is a POST.
-- Only a script that defines request() costs anything for each request, and it is not defined unless there is something to pipeline.

function init(args)
   local depth = tonumber(args[1]) or 1
   if args[2] then
      wrk.method = "POST"
      wrk.body = args[2]
   end
   if depth > 1 then
      local batch = string.rep(wrk.format(), depth)
      function request() return batch end
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "bytes": %d, "errors": %d, "p50": %d, "p75": %d, "p90": %d, "p99": %d, "p99_9": %d, "max": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(75), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
