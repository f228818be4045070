using KestrelNetpoll.Native;
using KestrelNetpoll.Native.Polling;
using Microsoft.AspNetCore.Connections;

namespace KestrelNetpoll.Transport.Connections;

/// <summary>The deadlines that the application sets.</summary>
internal sealed partial class NetpollConnection : IConnectionDeadlineFeature
{
    void IConnectionDeadlineFeature.SetReadDeadline(DateTimeOffset? deadline) => _reader.SetDeadline(PollDeadline.At(deadline));

    void IConnectionDeadlineFeature.SetReadDeadline(TimeSpan fromNow) => _reader.SetDeadline(PollDeadline.FromNow(fromNow));

    void IConnectionDeadlineFeature.SetWriteDeadline(DateTimeOffset? deadline) => _writer.SetDeadline(PollDeadline.At(deadline));

    void IConnectionDeadlineFeature.SetWriteDeadline(TimeSpan fromNow) => _writer.SetDeadline(PollDeadline.FromNow(fromNow));

    void IConnectionDeadlineFeature.SetDeadline(DateTimeOffset? deadline) => SetDeadline(PollDeadline.At(deadline));

    void IConnectionDeadlineFeature.SetDeadline(TimeSpan fromNow) => SetDeadline(PollDeadline.FromNow(fromNow));

    /// <summary>Somebody waits for the peer, or is about to, and has no time for that any more. Any thread, without locks.</summary>
    public void OnWriteDeadlinePassed()
    {
        NoteEnd(ConnectionEnd.WriteDeadline);
        Close(
            new ConnectionAbortedException("The write deadline of the connection has passed.", new DeadlineExceededException()),
            Ending.Broken);
    }

    private void SetDeadline(long deadline)
    {
        _reader.SetDeadline(deadline);
        _writer.SetDeadline(deadline);
    }
}
