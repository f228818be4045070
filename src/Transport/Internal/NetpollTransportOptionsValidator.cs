using System.Globalization;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>Refuses options out of range; every message names the option, the value and the range.</summary>
internal sealed class NetpollTransportOptionsValidator : IValidateOptions<NetpollTransportOptions>
{
    public ValidateOptionsResult Validate(string? name, NetpollTransportOptions options)
    {
        List<string>? failures = null;

        if (options.WorkerCount is < NetpollTransportOptions.MinWorkerCount or > NetpollTransportOptions.MaxWorkerCount)
        {
            Fail(nameof(options.WorkerCount), options.WorkerCount,
                $"between {NetpollTransportOptions.MinWorkerCount} and {NetpollTransportOptions.MaxWorkerCount}");
        }

        if (options.Backlog < 1)
        {
            Fail(nameof(options.Backlog), options.Backlog, "1 or more");
        }

        CheckBufferSize(nameof(options.MaxReadBufferSize), options.MaxReadBufferSize);
        CheckBufferSize(nameof(options.MaxWriteBufferSize), options.MaxWriteBufferSize);

        return failures is null ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void CheckBufferSize(string option, long? value)
        {
            if (value is < 0 or > int.MaxValue)
            {
                Fail(option, value.Value, $"null, 0 (both mean no limit) or between 1 and {int.MaxValue} bytes");
            }
        }

        void Fail(string option, long value, string range) => (failures ??= []).Add(string.Create(
            CultureInfo.InvariantCulture,
            $"{nameof(NetpollTransportOptions)}.{option} is {value}; it must be {range}."));
    }
}
