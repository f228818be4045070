using System.Net;
using System.Net.WebSockets;
using System.Text;

namespace KestrelNetpoll.Samples.Tests;

public sealed class PtyShellTests
{
    [Fact]
    public async Task A_page_gets_a_shell_of_its_size_and_nobody_else_gets_one()
    {
        await using SampleProcess sample = SampleProcess.Start("PtyShell", "--port", "0", "--shell", "/bin/sh");
        string address = await sample.FindAsync(@"^A shell for whoever reaches it: http://(127\.0\.0\.1:\d+)$");
        using var client = new HttpClient();
        Assert.Contains("new WebSocket(", await client.GetStringAsync($"http://{address}/"), StringComparison.Ordinal);

        // Another page, a name that leads here, another port, another scheme, and none at all.
        string[] others = ["http://example.org", $"http://example.org:{address.Split(':')[1]}", "http://localhost:1", $"https://{address}", ""];
        foreach (string other in others)
        {
            using ClientWebSocket refused = new();
            refused.Options.CollectHttpResponseDetails = true;
            await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(refused, address, other));
            Assert.Equal(HttpStatusCode.Forbidden, refused.HttpStatusCode);
        }

        using ClientWebSocket page = new();
        await ConnectAsync(page, address, $"http://{address}");
        await page.SendAsync("100x30"u8.ToArray(), WebSocketMessageType.Text, true, default).InTime();
        await page.SendAsync("stty size; echo $((6 * 7))-$TERM; exit\r"u8.ToArray(), WebSocketMessageType.Binary, true, default).InTime();

        string shown = await ReadToEndAsync(page);
        Assert.Contains("30 100\r\n42-dumb\r\n", shown, StringComparison.Ordinal);
        Assert.Equal("The shell has ended.", page.CloseStatusDescription);
    }

    private static Task ConnectAsync(ClientWebSocket socket, string address, string origin)
    {
        if (origin.Length > 0)
        {
            socket.Options.SetRequestHeader("Origin", origin);
        }

        return socket.ConnectAsync(new Uri($"ws://{address}/shell"), default).InTime();
    }

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
