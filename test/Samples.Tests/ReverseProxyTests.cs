namespace KestrelNetpoll.Samples.Tests;

public sealed class ReverseProxyTests
{
    [Fact]
    public async Task It_asks_one_upstream_after_the_other()
    {
        await using SampleProcess sample = SampleProcess.Start("ReverseProxy", "--urls", "http://127.0.0.1:0");
        using var client = new HttpClient { BaseAddress = new Uri(await sample.FindAsync(@"^Listening on (\S+), for http\S+ and http\S+$")) };

        string[] answers = [await client.GetStringAsync("/some/path"), await client.GetStringAsync("/some/path")];

        Assert.Equal(["Upstream A: /some/path, for 127.0.0.1\n", "Upstream B: /some/path, for 127.0.0.1\n"], answers.Order());
        using HttpResponseMessage echo = await client.PostAsync("/", new StringContent("there and back"));
        Assert.Equal("there and back", await echo.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task What_is_no_address_is_an_error()
    {
        (int exitCode, string output) = await SampleProcess.RunAsync("ReverseProxy", "--upstreams", "nowhere");

        Assert.Equal(2, exitCode);
        Assert.StartsWith("--upstreams has 'nowhere'; it must be an address", output, StringComparison.Ordinal);
    }
}
