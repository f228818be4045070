using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.RegularExpressions;

namespace KestrelNetpoll.Samples.Tests;

public sealed class PtyShellTests
{
    [Fact]
    public async Task A_page_gets_a_shell_of_its_size_and_nobody_else_gets_one()
    {
        await using SampleProcess sample = SampleProcess.Start("PtyShell", "--port", "0", "--shell", "/bin/sh");
        Uri address = await FindAddressAsync(sample);
        string token = address.Query;
        using var client = new HttpClient();
        Assert.Contains("new WebSocket(", await client.GetStringAsync(address), StringComparison.Ordinal);
        using (HttpResponseMessage withoutToken = await client.GetAsync(new Uri(address, "/")))
        {
            Assert.Equal(HttpStatusCode.Forbidden, withoutToken.StatusCode);
        }

        // Another page, a name that leads here, another port, another scheme, and none at all; then our page without the token.
        string ours = $"http://{address.Authority}";
        (string Origin, string Query)[] others =
        [
            ("http://example.org", token),
            ($"http://example.org:{address.Port}", token),
            ("http://localhost:1", token),
            ($"https://{address.Authority}", token),
            ("", token),
            (ours, ""),
            (ours, "?token="),
            (ours, token[..^1]),
            (ours, $"?token={new string('0', 32)}"),
        ];
        foreach ((string origin, string query) in others)
        {
            using ClientWebSocket refused = new();
            refused.Options.CollectHttpResponseDetails = true;
            await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(refused, address, origin, query));
            Assert.Equal(HttpStatusCode.Forbidden, refused.HttpStatusCode);
        }

        using ClientWebSocket page = await OpenAsync(address);
        await page.SendAsync("100x30"u8.ToArray(), WebSocketMessageType.Text, true, default).InTime();
        await TypeAsync(page, "stty size; echo $((6 * 7))-$TERM; exit\r");

        string shown = await ReadToEndAsync(page);
        Assert.Contains("30 100\r\n42-dumb\r\n", shown, StringComparison.Ordinal);
        Assert.Equal("The shell has ended.", page.CloseStatusDescription);
    }

    [Fact]
    public async Task A_shell_that_reads_nothing_ends_when_its_page_has_gone_or_types_without_end()
    {
        await using SampleProcess sample = SampleProcess.Start("PtyShell", "--port", "0", "--shell", "/bin/sh");
        Uri address = await FindAddressAsync(sample);

        // More than the terminal takes, and less than the session holds.
        using (ClientWebSocket page = await OpenAsync(address))
        {
            string shell = await MakeDeafAsync(page);
            await TypeAsync(page, new string('x', 300_000));
            page.Abort();
            await Patience.UntilAsync(() => !Directory.Exists(shell), "the shell has gone with its page");
        }

        using (ClientWebSocket page = await OpenAsync(address))
        {
            string shell = await MakeDeafAsync(page);
            await Record.ExceptionAsync(() => TypeAsync(page, new string('x', 8_000_000)));
            await Patience.UntilAsync(() => !Directory.Exists(shell), "the shell has gone for want of room");
        }
    }

    /// <returns>The folder of the shell's process.</returns>
    private static async Task<string> MakeDeafAsync(ClientWebSocket page)
    {
        await TypeAsync(page, "stty raw -echo; echo process:$$:; exec sleep 1000\r");
        string shown = "";
        byte[] buffer = new byte[4096];
        Match match;
        while (!(match = Regex.Match(shown, @"process:(\d+):")).Success)
        {
            ValueWebSocketReceiveResult received = await page.ReceiveAsync(buffer.AsMemory(), default).InTime();
            shown += Encoding.UTF8.GetString(buffer, 0, received.Count);
        }

        string folder = $"/proc/{match.Groups[1]}";
        Assert.True(Directory.Exists(folder), shown);
        return folder;
    }

    private static async Task<Uri> FindAddressAsync(SampleProcess sample) =>
        new(await sample.FindAsync(@"^A shell for whoever knows this address: (http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{32})$"));

    private static async Task<ClientWebSocket> OpenAsync(Uri address)
    {
        var page = new ClientWebSocket();
        await ConnectAsync(page, address, $"http://{address.Authority}", address.Query);
        return page;
    }

    private static Task ConnectAsync(ClientWebSocket socket, Uri address, string origin, string query)
    {
        if (origin.Length > 0)
        {
            socket.Options.SetRequestHeader("Origin", origin);
        }

        return socket.ConnectAsync(new Uri($"ws://{address.Authority}/shell{query}"), default).InTime();
    }

    private static Task TypeAsync(ClientWebSocket page, string text) =>
        page.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Binary, true, default).InTime();

    private static async Task<string> ReadToEndAsync(ClientWebSocket socket)
    {
        byte[] buffer = new byte[4096];
        var text = new StringBuilder();
        while (await socket.ReceiveAsync(buffer.AsMemory(), default).InTime() is { MessageType: not WebSocketMessageType.Close } received)
        {
            text.Append(Encoding.UTF8.GetString(buffer, 0, received.Count));
        }

        return text.ToString();
    }
}
