using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;

namespace PtyShell;

/// <summary>
/// Passes on between a WebSocket and a shell. Binary messages are what is typed, and what is shown. A text from the page is the size of its
/// window, such as 80x24.
/// </summary>
internal static class ShellSession
{
    private const int BufferSize = 4096;

    // What is held of messages, or parts of them, for a program that does not read: 4 MB.
    private const int MaximumHeld = 1024;

    private static readonly TimeSpan TimeToLeave = TimeSpan.FromSeconds(2);

    /// <returns>When the shell has ended, or the page has gone, or types more than is held, or the server stops.</returns>
    internal static async Task RunAsync(WebSocket socket, Shell shell, CancellationToken stopping, CancellationToken aborted)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stopping, aborted);
        var typed = Channel.CreateBounded<Received>(MaximumHeld);
        Task exit = shell.WaitForExitAsync(end.Token);
        Task output = ShowAsync(socket, shell, end.Token);
        Task page = ReceiveAsync(socket, typed.Writer, end.Token);
        Task input = TypeAsync(typed.Reader, shell, end.Token);
        if (await Task.WhenAny(output, page, input) == output && output.IsCompletedSuccessfully)
        {
            // The page closes in turn.
            end.CancelAfter(TimeToLeave);
            await IgnoreEndAsync(page);
        }

        await end.CancelAsync();
        foreach (Task task in (Task[])[output, page, input, exit])
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

    // Never waits for the shell: only who receives notices that the page has gone.
    private static async Task ReceiveAsync(WebSocket socket, ChannelWriter<Received> typed, CancellationToken end)
    {
        byte[] buffer = new byte[BufferSize];
        bool isHeld = true;
        while (isHeld && await socket.ReceiveAsync(buffer.AsMemory(), end) is { MessageType: not WebSocketMessageType.Close } received)
        {
            isHeld = typed.TryWrite(new Received(received.MessageType, buffer[..received.Count]));
        }
    }

    private static async Task TypeAsync(ChannelReader<Received> typed, Shell shell, CancellationToken end)
    {
        await foreach (Received received in typed.ReadAllAsync(end))
        {
            if (received.Type == WebSocketMessageType.Binary)
            {
                await shell.WriteAsync(received.Bytes, end);
            }
            else if (WindowSize.TryParse(Encoding.UTF8.GetString(received.Bytes)) is { } size)
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

    private sealed record Received(WebSocketMessageType Type, byte[] Bytes);
}
