using System.Net.WebSockets;
using System.Text;

namespace PtyShell;

/// <summary>
/// Passes on between a WebSocket and a shell. Binary messages are what is typed, and what is shown. A text from the page is the size of its
/// window, such as 80x24.
/// </summary>
internal static class ShellSession
{
    private const int BufferSize = 4096;

    private static readonly TimeSpan TimeToLeave = TimeSpan.FromSeconds(2);

    /// <returns>When the shell has ended, or the page has gone, or the server stops.</returns>
    internal static async Task RunAsync(WebSocket socket, Shell shell, CancellationToken stopping)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Task exit = shell.WaitForExitAsync(end.Token);
        Task output = ShowAsync(socket, shell, end.Token);
        Task input = TypeAsync(socket, shell, end.Token);
        if (await Task.WhenAny(output, input) == output && output.IsCompletedSuccessfully)
        {
            // The page closes in turn.
            end.CancelAfter(TimeToLeave);
            await IgnoreEndAsync(input);
        }

        await end.CancelAsync();
        foreach (Task task in (Task[])[output, input, exit])
        {
            await IgnoreEndAsync(task);
        }
    }

    private static async Task ShowAsync(WebSocket socket, Shell shell, CancellationToken end)
    {
        byte[] buffer = new byte[BufferSize];
        while (await shell.ReadAsync(buffer, end) is > 0 and int count)
        {
            await socket.SendAsync(buffer.AsMemory(0, count), WebSocketMessageType.Binary, endOfMessage: true, end);
        }

        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "The shell has ended.", end);
    }

    private static async Task TypeAsync(WebSocket socket, Shell shell, CancellationToken end)
    {
        byte[] buffer = new byte[BufferSize];
        while (await socket.ReceiveAsync(buffer.AsMemory(), end) is { MessageType: not WebSocketMessageType.Close } received)
        {
            ReadOnlyMemory<byte> bytes = buffer.AsMemory(0, received.Count);
            if (received.MessageType == WebSocketMessageType.Binary)
            {
                await shell.WriteAsync(bytes, end);
            }
            else if (WindowSize.TryParse(Encoding.UTF8.GetString(bytes.Span)) is { } size)
            {
                shell.Resize(size);
            }
        }
    }

    private static async Task IgnoreEndAsync(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException or IOException or ObjectDisposedException)
        {
            // The page or the shell has gone, as they do.
        }
    }
}
