using KestrelNetpoll.Perf.Compare.Load;
using KestrelNetpoll.Perf.Compare.Model;
using KestrelNetpoll.Perf.Compare.Running;

namespace KestrelNetpoll.Perf.Compare.Tests;

public class LoadParserTests
{
    private const string WrkOutput = """
        Running 3s test @ http://127.0.0.1:8080/plaintext
          1 threads and 64 connections
          Thread Stats   Avg      Stdev     Max   +/- Stdev
            Latency     0.94ms  331.21us   8.01ms   89.22%
            Req/Sec    68.31k     5.02k   77.21k    73.33%
          203911 requests in 3.00s, 25.67MB read
        Requests/sec:  67921.34
        Transfer/sec:      8.55MB
        {"requests": 203911, "seconds": 3.002164, "bytes": 26916252, "errors": 0, "p50": 890, "p75": 1010, "p90": 1190, "p99": 2110, "p99_9": 4300, "max": 8010}

        """;

    private const string H2LoadOutput = """
        starting benchmark...
        spawning thread #0: 16 total client(s). Timing-based test with 0s of warm-up time and 3s of main duration for measurements.
        TLS Protocol: TLSv1.3
        Cipher: TLS_AES_256_GCM_SHA384
        Server Temp Key: X25519 253 bits
        Application protocol: h2
        Main benchmark duration is over for thread #0. Stopping all clients.

        finished in 3.00s, 40123.33 req/s, 1.52MB/s
        requests: 120370 total, 120626 started, 120370 done, 120370 succeeded, 0 failed, 0 errored, 0 timeout
        status codes: 120370 2xx, 0 3xx, 0 4xx, 0 5xx
        traffic: 4.57MB (4792321) total, 470.22KB (481505) headers (space savings 96.12%), 1.49MB (1564810) data
                             min         max         mean         sd        +/- sd
        time for request:      312us     25.52ms      6.31ms      2.05ms    70.01%
        time for connect:     4.56ms     21.34ms     13.21ms      5.11ms    62.50%

        """;

    private const string BombardierOutput = """
        {"spec":{"numberOfConnections":64,"testType":"timed","testDurationSeconds":3,"method":"GET","url":"http://127.0.0.1:8080/plaintext","body":"","stream":false,"timeoutSeconds":2,"client":"fasthttp"},
        "result":{"bytesRead":26916252,"bytesWritten":15293325,"timeTakenSeconds":3.001,"req1xx":0,"req2xx":203911,"req3xx":0,"req4xx":0,"req5xx":0,"others":0,
        "latency":{"mean":940.1,"stddev":331.2,"max":8010,"percentiles":{"50":890,"75":1010,"90":1190,"99":2110}},
        "rps":{"mean":67921.3,"stddev":5021.1,"max":77210.5,"percentiles":{"50":68000.1,"75":70000.1,"90":72000.1,"99":77000.1}}}}
        """;

    private const string HttpLoadOutput = """
        {"seconds": 3.001, "generator_cores": 0.812, "connections": 41230, "bytes_sent": 123, "bytes_received": 456,
         "http": {"requests": 41166, "rate": 13717.4, "p50_us": 4100.1, "p75_us": 4300.0, "p90_us": 5000.5, "p99_us": 9000.9, "p99_9_us": 12000.0, "max_us": 15000.2, "unanswered": 0}}
        """;

    private const string StraceOutput = """
        % time     seconds  usecs/call     calls    errors syscall
        ------ ----------- ----------- --------- --------- ----------------
         61.30    0.912345           9     99000           sendto
         38.70    0.576000           5    100123       123 recvfrom
        ------ ----------- ----------- --------- --------- ----------------
        100.00    1.488345           7    199123       123 total

        """;

    [Fact]
    public void Wrk()
    {
        LoadResult result = Load.Wrk.Parse(WrkOutput);

        Assert.Equal(203_911, result.Requests);
        Assert.Equal(3.002164, result.Seconds);
        Assert.Equal(26_916_252, result.Bytes);
        Assert.Equal(2110, result.Latencies[Metrics.P99]);
        Assert.Equal(4300, result.Latencies[Metrics.P999]);
        Assert.Equal(8010, result.Latencies[Metrics.Max]);
    }

    [Fact]
    public void Wrk_with_errors_measures_nothing()
    {
        Assert.Throws<LoadException>(() => Load.Wrk.Parse(WrkOutput.Replace("\"errors\": 0", "\"errors\": 3", StringComparison.Ordinal)));
        Assert.Throws<LoadException>(() => Load.Wrk.Parse("unable to connect"));
    }

    [Fact]
    public void H2load()
    {
        LoadResult result = H2Load.Parse(H2LoadOutput, seconds: 3);

        Assert.Equal(120_370, result.Requests);
        Assert.Equal(3, result.Seconds);
        Assert.Equal(4_792_321, result.Bytes);
        Assert.Equal(25_520, result.Latencies[Metrics.Max]);
        Assert.DoesNotContain(Metrics.P99, result.Latencies.Keys);
    }

    [Fact]
    public void H2load_that_spoke_another_protocol_or_failed_measures_nothing()
    {
        Assert.Throws<LoadException>(() => H2Load.Parse(H2LoadOutput.Replace("protocol: h2", "protocol: http/1.1", StringComparison.Ordinal), 3));
        Assert.Throws<LoadException>(() => H2Load.Parse(H2LoadOutput.Replace(" 0 failed", " 5 failed", StringComparison.Ordinal), 3));
    }

    [Fact]
    public void Bombardier()
    {
        LoadResult result = Load.Bombardier.Parse(BombardierOutput);

        Assert.Equal(203_911, result.Requests);
        Assert.Equal(3.001, result.Seconds);
        Assert.Equal(890, result.Latencies[Metrics.P50]);
        Assert.Equal(2110, result.Latencies[Metrics.P99]);
        Assert.Equal(8010, result.Latencies[Metrics.Max]);
        Assert.DoesNotContain(Metrics.P999, result.Latencies.Keys);
    }

    [Fact]
    public void Bombardier_with_errors_measures_nothing()
    {
        Assert.Throws<LoadException>(() => Load.Bombardier.Parse(BombardierOutput.Replace("\"others\":0", "\"others\":1", StringComparison.Ordinal)));
        Assert.Throws<LoadException>(() => Load.Bombardier.Parse("no such host"));
    }

    [Fact]
    public void Our_own_programs()
    {
        LoadResult result = HttpLoad.Parse(HttpLoadOutput, isUpload: false);

        Assert.Equal(41_166, result.Requests);
        Assert.Equal(456, result.Bytes);
        Assert.Equal(0.812, result.GeneratorCores);
        Assert.Equal(12_000, result.Latencies[Metrics.P999]);
        Assert.Equal(123, HttpLoad.Parse(HttpLoadOutput, isUpload: true).Bytes);
    }

    [Fact]
    public void Latencies_that_were_not_measured_are_left_out()
    {
        string none = HttpLoadOutput.Replace("12000.0", "null", StringComparison.Ordinal);

        Assert.DoesNotContain(Metrics.P999, HttpLoad.Parse(none, isUpload: false).Latencies.Keys);
    }

    [Fact]
    public void An_answer_of_h2load_with_another_size_measures_nothing()
    {
        // 1,564,810 bytes of data, of 120,370 answers that came whole and at most 120,626 in part.
        Assert.Equal(120_370, H2Load.Parse(H2LoadOutput, seconds: 3, answerBytes: 13).Requests);
        Assert.Throws<LoadException>(() => H2Load.Parse(H2LoadOutput, seconds: 3, answerBytes: 12));
        Assert.Throws<LoadException>(() => H2Load.Parse(H2LoadOutput, seconds: 3, answerBytes: 14));
    }

    [Fact]
    public void The_log_of_h2load_has_the_percentiles()
    {
        Dictionary<Metric, double> latencies =
            H2LoadFiles.ParseLog(Enumerable.Range(1, 1000).Reverse().Select(i => $"1700000000000000\t200\t{i}"));

        Assert.Equal(501, latencies[Metrics.P50]);
        Assert.Equal(991, latencies[Metrics.P99]);
        Assert.Equal(1000, latencies[Metrics.P999]);
        Assert.Empty(H2LoadFiles.ParseLog([]));
    }

    [Fact]
    public void Strace()
    {
        Assert.Equal((199_123, 99_000), SystemCallCounter.Parse(StraceOutput, "netpoll"));
        Assert.Throws<LoadException>(() => SystemCallCounter.Parse("", "netpoll"));
    }
}
