namespace ProxyTune.Checkpoints.Formats;

/// <summary>Recognises a full disk or a used-up quota.</summary>
internal static class DiskFull
{
    // ENOSPC and EDQUOT of Linux, ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL of Windows.
    private static readonly int[] Codes = [28, 122, unchecked((int)0x80070070), unchecked((int)0x80070027)];

    public static bool Is(IOException error) => Codes.Contains(error.HResult);
}
