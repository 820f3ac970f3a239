using System.Globalization;
using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Numbers as Python reads, computes and writes them. An integer is a <see cref="BigInteger"/>, since Python's have no bounds.</summary>
internal static class PythonNumber
{
    /// <summary>The most bits an integer may have here. Python refuses to print one with more than 4300 digits.</summary>
    public const int MaxBits = 1 << 16;

    private const int MaxDigits = 4300;

    private const string Digits = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// <param name="digits">Digits of the radix, and nothing else.</param>
    public static BigInteger ParseInteger(string digits, int radix)
    {
        if (digits.Length > MaxDigits)
        {
            throw TemplateException.Failed($"a number has {digits.Length} digits; at most {MaxDigits} are allowed");
        }

        BigInteger value = BigInteger.Zero;
        foreach (char c in digits)
        {
            value = (value * radix) + Digits.IndexOf(char.ToLowerInvariant(c), StringComparison.Ordinal);
        }

        return value;
    }

    /// <summary>int(text, radix); null where Python raises a ValueError.</summary>
    public static BigInteger? Integer(string text, int radix)
    {
        string t = Ascii(text.AsSpan());
        bool isNegative = t.StartsWith('-');
        t = t.StartsWith('-') || t.StartsWith('+') ? t[1..] : t;
        int prefix = t.Length > 1 && t[0] == '0' ? char.ToLowerInvariant(t[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        if (prefix > 0 && (radix == 0 || radix == prefix))
        {
            radix = prefix;
            t = t.Length > 2 && t[2] == '_' ? t[3..] : t[2..];
        }
        else if (radix == 0)
        {
            radix = 10;
            if (t.Length > 1 && t[0] == '0' && t.Any(c => c is not ('0' or '_')))
            {
                return null;
            }
        }

        return IsNumeral(t, radix) ? ParseInteger(t.Replace("_", "", StringComparison.Ordinal), radix) * (isNegative ? -1 : 1) : null;
    }

    /// <summary>float(text); null where Python raises a ValueError.</summary>
    public static double? Float(string text)
    {
        string t = Ascii(text.AsSpan());
        string unsigned = t.StartsWith('-') || t.StartsWith('+') ? t[1..] : t;
        double? special = unsigned.ToLowerInvariant() switch { "inf" or "infinity" => double.PositiveInfinity, "nan" => double.NaN, _ => null };
        if (special is { } value)
        {
            return t.StartsWith('-') ? -value : value;
        }

        bool hasDigit = false, isWrong = unsigned.Length == 0;
        for (int i = 0; i < unsigned.Length; i++)
        {
            char c = unsigned[i];
            hasDigit |= char.IsAsciiDigit(c);
            isWrong |= c == '_'
                ? i == 0 || i + 1 == unsigned.Length || !char.IsAsciiDigit(unsigned[i - 1]) || !char.IsAsciiDigit(unsigned[i + 1])
                : !(char.IsAsciiDigit(c) || c is '.' or 'e' or 'E' || (c is '+' or '-' && i > 0 && unsigned[i - 1] is 'e' or 'E'));
        }

        return !isWrong && hasDigit && double.TryParse(t.Replace("_", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture, out double parsed) ? parsed : null;
    }

    /// <summary>The nearest double; Python raises an OverflowError where there is none.</summary>
    public static double ToDouble(BigInteger value)
    {
        if (BigInteger.Abs(value) <= long.MaxValue)
        {
            return (long)value;
        }

        double nearest = Nearest(value, 0);
        return double.IsInfinity(nearest) ? throw TemplateException.Failed("int too large to convert to float") : nearest;
    }

    /// <summary>a / b, rounded once.</summary>
    public static double Divide(BigInteger a, BigInteger b)
    {
        if (b.IsZero)
        {
            throw TemplateException.Failed("division by zero");
        }

        BigInteger largest = BigInteger.One << 53;
        if (BigInteger.Abs(a) <= largest && BigInteger.Abs(b) <= largest)
        {
            return (double)(long)a / (long)b;
        }

        // A quotient with enough bits, whose last bit says whether anything was cut off.
        int shift = Math.Max(0, 70 + (int)(b.GetBitLength() - a.GetBitLength()));
        BigInteger quotient = BigInteger.DivRem(BigInteger.Abs(a) << shift, BigInteger.Abs(b), out BigInteger rest);
        double value = Nearest((quotient << 1) | (rest.IsZero ? 0 : 1), -shift - 1);
        return double.IsInfinity(value) ? throw TemplateException.Failed("integer division result too large for a float") : a.Sign * b.Sign < 0 ? -value : value;
    }

    /// <summary>Rounds down, as Python does.</summary>
    public static BigInteger FloorDivide(BigInteger a, BigInteger b)
    {
        if (b.IsZero)
        {
            throw TemplateException.Failed("integer division or modulo by zero");
        }

        BigInteger quotient = BigInteger.DivRem(a, b, out BigInteger rest);
        return !rest.IsZero && rest.Sign != b.Sign ? quotient - 1 : quotient;
    }

    /// <summary>Has the sign of the divisor.</summary>
    public static double Modulo(double a, double b)
    {
        if (b == 0)
        {
            throw TemplateException.Failed("float modulo by zero");
        }

        double rest = Math.IEEERemainder(0, 1) + (a % b);
        return rest == 0 ? Math.CopySign(0, b) : (rest < 0) != (b < 0) ? rest + b : rest;
    }

    public static double FloorDivide(double a, double b)
    {
        if (b == 0)
        {
            throw TemplateException.Failed("float floor division by zero");
        }

        double rest = a % b;
        double quotient = (a - rest) / b;
        if (rest != 0 && (b < 0) != (rest < 0))
        {
            quotient -= 1;
        }

        if (quotient == 0)
        {
            return Math.CopySign(0, a / b);
        }

        double floor = Math.Floor(quotient);
        return quotient - floor > 0.5 ? floor + 1 : floor;
    }

    public static string Text(BigInteger value)
    {
        // The limit is on digits: 10^4300 is the first number that Python refuses.
        string text = value.GetBitLength() <= 14300 ? value.ToString(CultureInfo.InvariantCulture) : throw TemplateException.Failed($"an integer has more than {MaxDigits} digits");
        return text.Length - (value.Sign < 0 ? 1 : 0) > MaxDigits ? throw TemplateException.Failed($"an integer has more than {MaxDigits} digits") : text;
    }

    /// <summary>repr(float): the fewest digits that give the number again.</summary>
    public static string Text(double value)
    {
        if (!double.IsFinite(value))
        {
            return double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }

        (string digits, int exponent) = Shortest(Math.Abs(value));
        string sign = double.IsNegative(value) ? "-" : "";
        return exponent is < -4 or >= 16
            ? $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}"
            : sign + Place(digits, exponent, ".0");
    }

    /// <summary>The number with a fixed count of decimals, exactly rounded, halves to even.</summary>
    public static string Fixed(double value, int decimals)
    {
        (BigInteger scaled, bool isNegative) = Scaled(value, decimals);
        string digits = scaled.ToString(CultureInfo.InvariantCulture);
        if (decimals <= 0)
        {
            digits += digits == "0" ? "" : new string('0', -decimals);
        }
        else
        {
            digits = digits.PadLeft(decimals + 1, '0');
            digits = digits[..^decimals] + "." + digits[^decimals..];
        }

        return isNegative ? "-" + digits : digits;
    }

    /// <summary>The digits of a number rounded to a count of them, and the exponent of the first.</summary>
    public static (string Digits, int Exponent) Rounded(double value, int count)
    {
        if (value == 0)
        {
            return (new string('0', count), 0);
        }

        // The logarithm may be off by one, and rounding may carry, so the search comes from below.
        int exponent = (int)Math.Floor(Math.Log10(Math.Abs(value))) - 1;
        while (true)
        {
            string digits = Scaled(value, count - 1 - exponent).Value.ToString(CultureInfo.InvariantCulture);
            if (digits.Length == count && digits[0] != '0')
            {
                return (digits, exponent);
            }

            exponent += digits.Length > count ? 1 : -1;
        }
    }

    /// <summary>%e.</summary>
    public static string Exponential(double value, int decimals)
    {
        (string digits, int exponent) = Rounded(Math.Abs(value), decimals + 1);
        return $"{(double.IsNegative(value) ? "-" : "")}{digits[0]}{(decimals > 0 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }

    /// <summary>%g.</summary>
    /// <param name="keepZeros">Whether trailing zeros stay.</param>
    /// <param name="atLeastOneDecimal">Whether a whole number gets ".0", and the exponent begins one digit earlier, as in format(x, ".3").</param>
    public static string General(double value, int precision, bool keepZeros, bool atLeastOneDecimal = false)
    {
        precision = Math.Max(precision, 1);
        (string digits, int exponent) = Rounded(Math.Abs(value), precision);
        digits = keepZeros ? digits : digits.TrimEnd('0');
        digits = digits.Length == 0 ? "0" : digits;
        string sign = double.IsNegative(value) ? "-" : "";
        return exponent < -4 || exponent >= (atLeastOneDecimal ? precision - 1 : precision)
            ? $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}"
            : sign + Place(digits, exponent, atLeastOneDecimal ? ".0" : "");
    }

    /// <summary>In another radix, without prefix and sign.</summary>
    public static string InRadix(BigInteger value, int radix)
    {
        value = BigInteger.Abs(value);
        StringBuilder text = new();
        do
        {
            value = BigInteger.DivRem(value, radix, out BigInteger digit);
            text.Insert(0, Digits[(int)digit]);
        }
        while (!value.IsZero);

        return text.ToString();
    }

    private static string Place(string digits, int exponent, string whole) =>
        exponent < 0 ? "0." + new string('0', -exponent - 1) + digits
        : digits.Length <= exponent + 1 ? digits + new string('0', exponent + 1 - digits.Length) + whole
        : digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];

    private static (string Digits, int Exponent) Shortest(double value)
    {
        string text = value.ToString("E16", CultureInfo.InvariantCulture);
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        string mantissa = shortest.Split('E')[0].Replace(".", "", StringComparison.Ordinal).TrimStart('0').TrimEnd('0');
        if (mantissa.Length == 0)
        {
            return ("0", 0);
        }

        int exponent = int.Parse(text[(text.IndexOf('E', StringComparison.Ordinal) + 1)..], CultureInfo.InvariantCulture);

        // 9.99...e5 printed with 17 digits and the shortest form agree on the exponent but for a carry.
        int dot = shortest.Split('E')[0].IndexOf('.', StringComparison.Ordinal);
        string plain = shortest.Split('E')[0];
        int own = shortest.Contains('E', StringComparison.Ordinal)
            ? int.Parse(shortest[(shortest.IndexOf('E', StringComparison.Ordinal) + 1)..], CultureInfo.InvariantCulture)
            : plain[0] != '0' ? (dot < 0 ? plain.Length : dot) - 1
            : exponent;
        return (mantissa, own);
    }

    // |value| * 10^decimals, rounded to an integer, halves to even.
    private static (BigInteger Value, bool IsNegative) Scaled(double value, int decimals)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int power = (int)((bits >> 52) & 0x7FF);
        BigInteger numerator = (bits & 0xFFFFFFFFFFFFF) | (power == 0 ? 0 : 1L << 52), denominator = BigInteger.One;
        power = Math.Max(power, 1) - 1075;
        numerator <<= Math.Max(power, 0);
        denominator <<= Math.Max(-power, 0);
        numerator *= BigInteger.Pow(10, Math.Max(decimals, 0));
        denominator *= BigInteger.Pow(10, Math.Max(-decimals, 0));
        BigInteger quotient = BigInteger.DivRem(numerator, denominator, out BigInteger rest);
        int half = (rest * 2).CompareTo(denominator);
        return (half > 0 || (half == 0 && !quotient.IsEven) ? quotient + 1 : quotient, bits < 0);
    }

    // value * 2^exponent as the nearest double, halves to even.
    private static double Nearest(BigInteger value, int exponent)
    {
        BigInteger magnitude = BigInteger.Abs(value);
        int surplus = (int)magnitude.GetBitLength() - 64;
        if (surplus > 0)
        {
            bool isExact = (magnitude & ((BigInteger.One << surplus) - 1)).IsZero;
            magnitude = (magnitude >> surplus) | (isExact ? 0 : 1);
            exponent += surplus;
        }

        double nearest = Math.ScaleB((double)(ulong)magnitude, exponent);
        return value.Sign < 0 ? -nearest : nearest;
    }

    private static bool IsNumeral(string text, int radix) => text.Length > 0 && text[0] != '_' && text[^1] != '_' && !text.Contains("__", StringComparison.Ordinal)
        && text.All(c => c == '_' || (Digits.IndexOf(char.ToLowerInvariant(c), StringComparison.Ordinal) is var digit && digit >= 0 && digit < radix));

    // Without white space around, and with the digits of other scripts as ASCII.
    private static string Ascii(ReadOnlySpan<char> text)
    {
        int from = 0, end = text.Length;
        while (from < end && PythonText.IsSpace(text[from]))
        {
            from++;
        }

        while (end > from && PythonText.IsSpace(text[end - 1]))
        {
            end--;
        }

        string trimmed = text[from..end].ToString();
        return System.Text.Ascii.IsValid(trimmed) ? trimmed
            : string.Concat(PythonText.Characters(trimmed).Select(c => PythonText.IsDecimal(c) ? CharUnicodeInfo.GetDecimalDigitValue(PythonText.Character(c), 0).ToString(CultureInfo.InvariantCulture) : PythonText.Character(c)));
    }
}
